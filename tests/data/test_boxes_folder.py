import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from runner.contracts import DataContext, Draw
from runner.errors import DataError, RecipeError
from runner.registry import datasets

WIDTH, HEIGHT = 80, 60
BOXES = [(10.0, 5.0, 30.0, 25.0, "cow"), (40.0, 30.0, 70.0, 50.0, "dog")]
CLASSES = ("cow", "dog")
SPLITS = ("train", "val", "test")


def write_images(root: Path, per_split: int = 3) -> list[Path]:
    """Write images that show what the boxes say: cows red, dogs blue."""
    paths = []
    for split in ("train", "val"):
        (root / split).mkdir(parents=True)
        for number in range(per_split):
            image = np.full((HEIGHT, WIDTH, 3), 30 + len(paths), np.uint8)
            for (x1, y1, x2, y2, _), colour in zip(BOXES, ((255, 0, 0), (0, 0, 255)), strict=True):
                image[int(y1) : int(y2), int(x1) : int(x2)] = colour
            path = root / split / f"{split}{number}.png"
            cv2.imwrite(str(path), image[..., ::-1])
            paths.append(path)
    return paths


def yolo_line(box):
    x1, y1, x2, y2, kind = box
    values = ((x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT)
    return f"{CLASSES.index(kind)} " + " ".join(f"{value:.8f}" for value in values)


def voc(boxes, width=WIDTH, height=HEIGHT):
    objects = "".join(
        f"<object><name>{kind}</name><bndbox><xmin>{x1 + 1:g}</xmin><ymin>{y1 + 1:g}</ymin>"
        f"<xmax>{x2:g}</xmax><ymax>{y2:g}</ymax></bndbox></object>"
        for x1, y1, x2, y2, kind in boxes
    )
    size = f"<size><width>{width}</width><height>{height}</height></size>" if width else ""
    return f"<annotation>{size}{objects}</annotation>"


def coco(paths):
    return {
        "images": [{"id": n, "file_name": path.name} for n, path in enumerate(paths)],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cow"}],
        "annotations": [
            {
                "id": 100 + n, "image_id": n, "category_id": {"cow": 3, "dog": 7}[kind],
                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": 1.0, "iscrowd": 0,
            }
            for n in range(len(paths))
            for x1, y1, x2, y2, kind in BOXES
        ],
    }  # fmt: skip


def write_format(root: Path, kind: str) -> str:
    """Write images with the same boxes in one of the formats; return the pattern of annotations."""
    paths = write_images(root)
    for split in ("train", "val"):
        own = [path for path in paths if path.parent.name == split]
        if kind == "yolo":
            for path in own:
                path.with_suffix(".txt").write_text("\n".join(map(yolo_line, BOXES)) + "\n")
        elif kind == "voc":
            for path in own:
                path.with_suffix(".xml").write_text(voc(BOXES))
        elif kind == "coco":
            (root / f"{split}.json").write_text(json.dumps(coco(own)))
        else:
            lines = ["file,x1,y1,x2,y2,class,photo"]
            lines += [
                f"{path.name},{x1:g},{y1:g},{x2:g},{y2:g},{kind},p"
                for path in own
                for x1, y1, x2, y2, kind in BOXES
            ]
            (root / split / "annotations.csv").write_text("\n".join(lines) + "\n")
    return {
        "yolo": "{split}/{stem}.txt", "voc": "{split}/{stem}.xml",
        "coco": "{split}.json", "csv": "{split}/annotations.csv",
    }[kind]  # fmt: skip


def opened(root, kind, annotations, **changed):
    params = {
        "root": "x", "format": kind, "images": "{split}/*.png", "annotations": annotations,
        "classes": list(CLASSES), "splits": {"folders": {"train": "train", "val": "val"}},
        "size": [96, 96], **changed,
    }  # fmt: skip
    context = DataContext(lambda _: root, root.parent / "cache")
    return datasets.parse({"name": "boxes", "params": params}).build(context)


def problems_of(root, kind, annotations, **changed):
    with pytest.raises((DataError, RecipeError)) as raised:
        opened(root, kind, annotations, **changed)
    return [str(each) for each in raised.value.problems]


def load(split, index=0, number=0):
    return split.load(Draw(number, index), np.random.Generator(np.random.Philox(number)))


@pytest.mark.parametrize("kind", ["yolo", "voc", "coco", "csv"])
def test_all_formats_say_the_same(tmp_path, kind):
    annotations = write_format(tmp_path / "data", kind)
    data = opened(tmp_path / "data", kind, annotations)
    assert data.spec.classes == CLASSES
    assert data.spec.ragged == {"boxes"}
    assert data.spec.measured["class_boxes"] == (3.0, 3.0)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 3, "val": 3}
    sample = load(data.splits["val"])
    # 80x60 into 96x96: 1.2 times as large, 12 rows of grey above and below.
    wanted = [[12, 18, 36, 42, 0], [48, 48, 84, 72, 1]]
    np.testing.assert_allclose(sample.target["boxes"], wanted, atol=1e-4)
    assert sample.image.shape == (3, 96, 96)
    assert (sample.image[:, :11] == 114).all()
    assert sample.image[:, 30, 24].tolist() == [255, 0, 0]
    assert sample.image[:, 60, 66].tolist() == [0, 0, 255]


def test_an_image_without_boxes_is_background(tmp_path):
    annotations = write_format(tmp_path / "data", "yolo")
    (tmp_path / "data/train/train0.txt").unlink()
    (tmp_path / "data/train/train1.txt").write_text("")
    data = opened(tmp_path / "data", "yolo", annotations)
    assert data.spec.measured["class_boxes"] == (1.0, 1.0)
    assert load(data.splits["train"]).target["boxes"].shape == (0, 5)


def test_images_without_a_yolo_file_are_told(tmp_path, caplog):
    annotations = write_format(tmp_path / "data", "yolo")
    assert opened(tmp_path / "data", "yolo", annotations).inventory.remarks == ()
    (tmp_path / "data/train/train0.txt").unlink()
    (tmp_path / "data/train/train1.txt").write_text("")
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(tmp_path / "data", "yolo", annotations)
    assert "1 of 6 images have no annotation" in caplog.text and "train0.png" in caplog.text
    [remark] = data.inventory.remarks
    assert (remark.level, remark.places) == ("note", ["train/train0.png"])
    for number in (0, 1):
        (tmp_path / f"data/val/val{number}.txt").unlink()
    [remark] = opened(tmp_path / "data", "yolo", annotations).inventory.remarks
    assert (remark.level, remark.count) == ("warning", 3), "half of them: most likely a wrong path"


@pytest.mark.parametrize("kind", ["csv", "coco"])
def test_images_that_the_file_of_all_does_not_name_are_told(tmp_path, kind):
    annotations = write_format(tmp_path / "data", kind)
    assert opened(tmp_path / "data", kind, annotations).inventory.remarks == ()
    image = np.full((HEIGHT, WIDTH, 3), 99, np.uint8)
    cv2.imwrite(str(tmp_path / "data/train/new.png"), image)
    [remark] = opened(tmp_path / "data", kind, annotations).inventory.remarks
    assert (remark.kind, remark.places) == ("no_annotation", ["train/new.png"])
    # An image that stands there without a box is one without an object, and is said to be.
    if kind == "csv":
        edit(tmp_path / "data/train/annotations.csv", lambda text: text + "new.png,,,,,,p\n")
    else:
        content = json.loads((tmp_path / "data/train.json").read_text())
        content["images"].append({"id": 77, "file_name": "new.png"})
        (tmp_path / "data/train.json").write_text(json.dumps(content))
    assert opened(tmp_path / "data", kind, annotations).inventory.remarks == ()


@pytest.mark.parametrize("kind", ["yolo", "voc"])
def test_an_annotation_of_no_image_is_named(tmp_path, kind):
    annotations = write_format(tmp_path / "data", kind)
    (tmp_path / "data/val/val1.png").unlink()
    for name in ("classes.txt", "README.txt", "._val0.txt", "._val0.xml"):
        (tmp_path / "data/val" / name).write_text("cow")
    [said] = problems_of(tmp_path / "data", kind, annotations)
    assert "val/val1." in said and "annotates no image" in said and "'{split}/*.png'" in said
    for number in range(30):
        (tmp_path / f"data/train/old{number}").with_suffix(f".{annotations[-3:]}").write_text("")
    said = problems_of(tmp_path / "data", kind, annotations)
    assert len(said) == 21 and "11 more files annotate no image" in said[-1]


def test_annotations_of_images_that_no_list_names_are_well(tmp_path):
    annotations = write_format(tmp_path / "data", "yolo").replace("{split}", "train")
    # The lists lie where labels do, and end as they do.
    (tmp_path / "data/train/list.txt").write_text("train0\n")
    (tmp_path / "data/train/other.txt").write_text("train1\n")
    splits = {"lists": {"train": "train/list.txt", "val": "train/other.txt"}}
    data = opened(tmp_path / "data", "yolo", annotations, images="train/*.png", splits=splits)
    assert [len(split) for split in data.splits.values()] == [1, 1]


def edit(path, change):
    path.write_text(change(path.read_text()))


def test_a_class_out_of_range_is_named_with_its_line(tmp_path):
    annotations = write_format(tmp_path / "data", "yolo")
    edit(tmp_path / "data/train/train1.txt", lambda text: text.replace("1 ", "2 ", 1))
    [said] = problems_of(tmp_path / "data", "yolo", annotations)
    assert "train1.txt:2" in said and "class 2" in said and "0 to 1" in said


def test_pixels_in_place_of_shares_are_named_with_the_images_size(tmp_path):
    annotations = write_format(tmp_path / "data", "yolo")
    (tmp_path / "data/val/val0.txt").write_text("0 40 30 20 10\n")
    (tmp_path / "data/val/val2.txt").write_text("0 0.5 0.5 0.1\n1 0.5 0.5 0.1 0.1\nx\n")
    said = problems_of(tmp_path / "data", "yolo", annotations)
    assert len(said) == 3, "all problems at once"
    assert "val0.txt:1" in said[0] and "[0, 1]" in said[0] and "80x60" in said[0]
    assert "val2.txt:1" in said[1] and "val2.txt:3" in said[2]


def test_xml_without_size_is_named(tmp_path):
    annotations = write_format(tmp_path / "data", "voc")
    (tmp_path / "data/train/train0.xml").write_text(voc(BOXES, width=0))
    (tmp_path / "data/train/train1.xml").write_text(voc(BOXES, width=81))
    (tmp_path / "data/train/train2.xml").write_text("<annotation><si")
    (tmp_path / "data/val/val0.xml").write_text(voc([(1, 1, 9, 9, "cwo")]))
    (tmp_path / "data/val/val1.xml").unlink()
    said = problems_of(tmp_path / "data", "voc", annotations)
    for text, wanted in zip(
        said,
        ("no <size>", "81x60", "no XML", "has no annotation", "did you mean 'cow'"),
        strict=True,
    ):
        assert wanted in text


def test_a_csv_without_a_column_is_named(tmp_path):
    annotations = write_format(tmp_path / "data", "csv")
    edit(tmp_path / "data/train/annotations.csv", lambda text: text.replace("x1", "left"))
    [said] = problems_of(tmp_path / "data", "csv", annotations)
    assert "annotations.csv: has no column x1" in said and "data.params.columns" in said
    edit(tmp_path / "data/val/annotations.csv", lambda text: text.replace("x1", "left"))
    assert len(opened(tmp_path / "data", "csv", annotations, columns={"x1": "left"}).splits) == 2


def test_rows_of_a_csv_that_are_wrong_are_named_by_line(tmp_path):
    annotations = write_format(tmp_path / "data", "csv")
    with (tmp_path / "data/train/annotations.csv").open("a") as file:
        file.write("train0.png,1,2,three,4,cow,p\ntrain0.png,1,2,30,40,bird,p\n")
    said = problems_of(tmp_path / "data", "csv", annotations)
    assert "annotations.csv:8" in said[0] and "corners" in said[0]
    assert "annotations.csv:9" in said[1] and "bird" in said[1]


@pytest.mark.parametrize(
    ("kind", "first"),
    [("voc", "train0.xml: object 2"), ("coco", "annotation 100"), ("csv", "annotations.csv:3")],
)
def test_an_unknown_class_is_told_once_with_its_boxes_and_the_first(tmp_path, kind, first):
    annotations = write_format(tmp_path / "data", kind)
    [said] = problems_of(tmp_path / "data", kind, annotations, classes=["cow"])
    assert first in said and "the class 'dog' is not in data.params.classes" in said
    assert "6 boxes, this is the first" in said


def test_an_index_out_of_range_is_told_once_and_other_lines_each(tmp_path):
    annotations = write_format(tmp_path / "data", "yolo")
    for name in ("train0", "train1"):
        edit(tmp_path / f"data/train/{name}.txt", lambda text: text + "x\n")
    said = problems_of(tmp_path / "data", "yolo", annotations, classes=["cow"])
    assert len(said) == 3
    assert "train0.txt:2: class 1" in said[0] and "6 boxes" in said[0]
    assert "train0.txt:3" in said[1] and "train1.txt:3" in said[2]


@pytest.mark.parametrize("kind", ["coco", "csv"])
def test_annotations_of_a_missing_image_are_named(tmp_path, kind):
    annotations = write_format(tmp_path / "data", kind)
    (tmp_path / "data/val/val1.png").unlink()
    [said] = problems_of(tmp_path / "data", kind, annotations)
    assert "val1.png" in said and "does not exist" in said


def test_a_coco_file_of_images_of_another_size_is_named_once(tmp_path):
    annotations = write_format(tmp_path / "data", "coco")
    content = json.loads((tmp_path / "data/val.json").read_text())
    for each in content["images"]:
        each.update(width=WIDTH, height=HEIGHT)
    (tmp_path / "data/val.json").write_text(json.dumps(content))
    opened(tmp_path / "data", "coco", annotations)
    for each in content["images"][1:]:
        each.update(width=2 * WIDTH, height=2 * HEIGHT)
    (tmp_path / "data/val.json").write_text(json.dumps(content))
    [said] = problems_of(tmp_path / "data", "coco", annotations)
    assert "val.json: 2 of 3 images have another size" in said
    assert "first val/val1.png: 160x120 here, 80x60 as stored" in said


def test_paths_that_start_above_the_root_are_found(tmp_path):
    annotations = write_format(tmp_path / "data", "csv")
    before = opened(tmp_path / "data", "csv", annotations).fingerprint
    for split in ("train", "val"):
        path = tmp_path / "data" / split / "annotations.csv"
        edit(path, lambda text, split=split: text.replace(f"\n{split}", f"\ndata/{split}/{split}"))
        assert f"data/{split}/{split}0.png" in path.read_text()
    assert opened(tmp_path / "data", "csv", annotations).fingerprint == before
    # Split folders as roots: of which of the two a path speaks cannot be told any more.
    edit(path, lambda text: text + "old/val/val0.png,1,2,30,40,cow,p\n")
    [said] = problems_of(tmp_path / "data", "csv", annotations)
    assert "annotations.csv:8" in said and "'data/val/val0.png' and 'old/val/val0.png'" in said


def test_a_coco_annotation_of_no_image_or_category_is_named(tmp_path):
    annotations = write_format(tmp_path / "data", "coco")
    content = json.loads((tmp_path / "data/val.json").read_text())
    content["annotations"][0]["image_id"] = 99
    content["annotations"][1]["category_id"] = 99
    content["annotations"][2]["bbox"] = [1, 2, None, 4]
    (tmp_path / "data/val.json").write_text(json.dumps(content))
    said = problems_of(tmp_path / "data", "coco", annotations)
    assert [text.split(": ")[1] for text in said] == [f"annotation {n}" for n in (100, 100, 101)]


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}', "[" * 5000])
def test_a_json_that_is_no_coco_file_is_named(tmp_path, text):
    annotations = write_format(tmp_path / "data", "coco")
    (tmp_path / "data/val.json").write_text(text)
    [said] = problems_of(tmp_path / "data", "coco", annotations)
    assert "val.json" in said and "COCO" in said


@pytest.mark.parametrize("faulty", ["mend", "refuse"])
def test_crowds_of_a_coco_file_are_told_and_left_out(tmp_path, caplog, faulty):
    annotations = write_format(tmp_path / "data", "coco")
    content = json.loads((tmp_path / "data/train.json").read_text())
    for place in (1, 2, 4):
        content["annotations"][place]["iscrowd"] = 1
    (tmp_path / "data/train.json").write_text(json.dumps(content))
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(tmp_path / "data", "coco", annotations, faulty=faulty)
    assert data.spec.measured["class_boxes"] == (1.0, 2.0)
    [remark] = data.inventory.remarks
    assert (remark.kind, remark.level, remark.count) == ("crowd_boxes", "note", 3)
    assert remark.message.startswith("3 boxes stand for a crowd (iscrowd: 1) and are left out")
    assert remark.places[0].endswith("train.json: annotation 100")
    assert "3 boxes stand for a crowd" in caplog.text


def test_faulty_boxes_are_told_or_refused(tmp_path, caplog):
    annotations = write_format(tmp_path / "data", "csv")
    with (tmp_path / "data/train/annotations.csv").open("a") as file:
        file.write("train0.png,10,5,30,25,cow,p\ntrain1.png,9,9,9,20,cow,p\n")
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(tmp_path / "data", "csv", annotations)
    assert data.spec.measured["class_boxes"] == (3.0, 3.0)
    assert "1 duplicate, 1 degenerate" in caplog.text
    assert "annotations.csv:8" in caplog.text and "annotations.csv:9" in caplog.text
    refused = problems_of(tmp_path / "data", "csv", annotations, faulty="refuse")
    assert len(refused) == 2 and not any("left out" in each for each in refused)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"annotations": "{split}/all.txt"}, "data.params.annotations"),
        ({"format": "coco"}, "data.params.annotations"),
        ({"columns": {"x1": "left"}}, "data.params.columns"),
        ({"images": "train/*.png"}, "data.params.images"),
        ({"annotations": "../{stem}.txt"}, "data.params.annotations"),
    ],
)
def test_values_that_contradict_each_other_are_refused(tmp_path, changed, key):
    annotations = write_format(tmp_path / "data", "yolo")
    values = {"kind": "yolo", "annotations": annotations, **changed}
    kind = values.pop("format", values.pop("kind"))
    said = problems_of(tmp_path / "data", kind, values.pop("annotations"), **values)
    assert any(text.startswith(key) for text in said)


def test_a_training_split_without_a_box_is_refused(tmp_path):
    write_format(tmp_path / "data", "yolo")
    [said] = problems_of(tmp_path / "data", "yolo", "labels/{stem}.txt")
    assert "no image of the training split has a box" in said


def test_the_same_image_in_two_splits_is_a_leak(tmp_path):
    annotations = write_format(tmp_path / "data", "yolo")
    for suffix in (".png", ".txt"):
        source = tmp_path / f"data/train/train0{suffix}"
        (tmp_path / f"data/val/train0{suffix}").write_bytes(source.read_bytes())
    [said] = problems_of(tmp_path / "data", "yolo", annotations)
    assert "allow_leak" in said
    assert len(opened(tmp_path / "data", "yolo", annotations, allow_leak=True).splits["val"]) == 4


def test_a_changed_box_changes_the_fingerprint(tmp_path):
    annotations = write_format(tmp_path / "data", "yolo")
    before = opened(tmp_path / "data", "yolo", annotations).fingerprint
    assert opened(tmp_path / "data", "yolo", annotations).fingerprint == before
    edit(tmp_path / "data/val/val0.txt", lambda text: text.replace("0.25", "0.26"))
    assert opened(tmp_path / "data", "yolo", annotations).fingerprint != before


def test_the_cache_knows_size_and_fill(tmp_path):
    annotations = write_format(tmp_path / "data", "yolo")
    for size, fill in (([96, 96], 114), ([64, 96], 114), ([96, 96], 0)):
        data = opened(tmp_path / "data", "yolo", annotations, size=size, fill=fill)
        image = load(data.splits["val"]).image
        assert image.shape[1:] == tuple(size)
        assert (image[:, :, 0] == fill).any()
    plain = opened(tmp_path / "data", "yolo", annotations, cache=False)
    cached = opened(tmp_path / "data", "yolo", annotations)
    assert np.array_equal(load(plain.splits["val"]).image, load(cached.splits["val"]).image)


GEOMETRY = [
    {"name": "flip", "params": {"horizontal": 1.0, "vertical": 1.0}},
    {"name": "rotate90", "params": {"probability": 1.0}},
    {"name": "affine", "params": {"scale": [0.8, 1.2], "rotate_degrees": 0.0, "translate": 0.1}},
    {"name": "zoom_crop", "params": {"scale": [0.5, 0.8], "probability": 1.0}},
]


@pytest.mark.parametrize("transform", GEOMETRY, ids=lambda each: each["name"])
def test_boxes_follow_the_image(tmp_path, transform):
    annotations = write_format(tmp_path / "data", "yolo")
    data = opened(tmp_path / "data", "yolo", annotations, transforms=[transform])
    seen = 0
    for number in range(12):
        sample = load(data.splits["train"], number=number)
        assert sample.image.shape == (3, 96, 96)
        for x1, y1, x2, y2, kind in sample.target["boxes"]:
            assert 0 <= x1 < x2 <= 96 and 0 <= y1 < y2 <= 96
            inner = sample.image[:, int(y1) + 2 : int(y2) - 2, int(x1) + 2 : int(x2) - 2]
            if inner.size:
                seen += 1
                assert (inner.mean((1, 2)).argmax() == (0 if kind == 0 else 2)).all()
                assert inner.mean((1, 2)).max() > 200
    assert seen > 8


def test_colours_leave_boxes_alone_and_draws_repeat(tmp_path):
    annotations = write_format(tmp_path / "data", "yolo")
    transforms = [{"name": "color_jitter"}, GEOMETRY[3]]
    data = opened(tmp_path / "data", "yolo", annotations, transforms=transforms[:1])
    plain = opened(tmp_path / "data", "yolo", annotations)
    first, second = load(data.splits["train"]), load(plain.splits["train"])
    assert np.array_equal(first.target["boxes"], second.target["boxes"])
    assert not np.array_equal(first.image, second.image)
    both = opened(tmp_path / "data", "yolo", annotations, transforms=transforms)
    one, again = (load(both.splits["train"], number=5) for _ in range(2))
    other = load(both.splits["train"], number=6)
    assert np.array_equal(one.image, again.image)
    assert np.array_equal(one.target["boxes"], again.target["boxes"])
    assert not np.array_equal(one.image, other.image)


SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not (SHARED / "seals").is_dir(), reason="the seals are not on this machine")
def test_the_seals_open():
    data = opened(
        SHARED / "seals", "csv", "{split}/annotations.csv", images="{split}/*.jpg",
        classes=["pup", "cow", "other", "bull"], cache=False,
        splits={"folders": {"train": "train", "val": "valid", "test": "test"}},
    )  # fmt: skip
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 899, "val": 197, "test": 276,
    }  # fmt: skip
    assert len(load(data.splits["val"]).target["boxes"])


@pytest.mark.skipif(not (SHARED / "bccd").is_dir(), reason="BCCD is not on this machine")
def test_bccd_opens_with_its_two_degenerate_boxes(caplog):
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(
            SHARED / "bccd", "voc", "Annotations/{stem}.xml", images="JPEGImages/*.jpg",
            classes=["RBC", "WBC", "Platelets"], cache=False,
            splits={"lists": {name: f"ImageSets/Main/{name}.txt" for name in SPLITS}},
        )  # fmt: skip
    assert len(data.splits["train"]) > 100
    assert "faulty boxes: 2 degenerate" in caplog.text


def test_a_file_name_of_two_images_is_named(tmp_path):
    write_format(tmp_path / "data", "csv")
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir()
        source = tmp_path / f"data/train/train{'ab'.index(name)}.png"
        (tmp_path / "data" / name / "same.png").write_bytes(source.read_bytes())
    text = "file,x1,y1,x2,y2,class\nsame.png,1,2,30,40,cow\nb/same.png,1,2,30,40,cow\n"
    (tmp_path / "data/all.csv").write_text(text)
    fractions = {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0}
    [said] = problems_of(
        tmp_path / "data", "csv", "all.csv", images="*/same.png",
        splits=fractions,
    )  # fmt: skip
    assert "all.csv:2" in said and "2 images" in said


@pytest.mark.parametrize(
    ("key", "value"),
    [("image_id", [1]), ("category_id", {}), ("bbox", [10**400, 1, 2, 3])],
)
def test_a_coco_annotation_of_strange_values_is_named(tmp_path, key, value):
    annotations = write_format(tmp_path / "data", "coco")
    content = json.loads((tmp_path / "data/val.json").read_text())
    content["annotations"][0][key] = value
    (tmp_path / "data/val.json").write_text(json.dumps(content))
    [said] = problems_of(tmp_path / "data", "coco", annotations)
    assert "annotation 100" in said and len(said) < 300


@pytest.mark.parametrize(("line", "place"), [(0, "csv:0"), (1, "csv:1")])
def test_a_csv_field_without_end_is_named_with_its_line(tmp_path, line, place):
    annotations = write_format(tmp_path / "data", "csv")
    file = tmp_path / "data/val/annotations.csv"
    lines = file.read_text().splitlines()
    lines[line] += "x" * 200_000
    file.write_text("\n".join(lines))
    [said] = problems_of(tmp_path / "data", "csv", annotations)
    assert place in said and "field larger" in said


@pytest.mark.parametrize("name", ["other/train0.png", "x" * 300 + ".png"])
def test_a_row_is_of_no_image_in_another_folder_or_of_an_impossible_name(tmp_path, name):
    annotations = write_format(tmp_path / "data", "csv")
    with (tmp_path / "data/train/annotations.csv").open("a") as file:
        file.write(f"{name},1,2,30,40,cow,p\n")
    [said] = problems_of(tmp_path / "data", "csv", annotations)
    assert "annotations.csv:8" in said and "does not exist" in said


@pytest.mark.parametrize("kind", ["yolo", "voc"])
def test_annotation_that_is_a_broken_link_is_no_image_without_boxes(tmp_path, kind):
    annotations = write_format(tmp_path / "data", kind)
    [file, *_] = sorted((tmp_path / "data/train").glob(f"*{Path(annotations).suffix}"))
    file.unlink()
    file.symlink_to("/gone/labels.txt")
    [said] = problems_of(tmp_path / "data", kind, annotations)
    assert said.startswith(f"{file}: is a link to /gone/labels.txt, which is not there")
