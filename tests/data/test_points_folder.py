"""Annotations of every format give the same points, and what is wrong with them is named."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from runner.contracts import Data, DataContext
from runner.data.splits import Lists
from runner.errors import DataError, RecipeError
from runner.parts.datasets.points import PointSplits
from runner.registry import datasets

# In each format the middles are whole numbers and a half, as a dot's pixel has them.
POINTS = {
    f"{name}.png": [[4.5 + 8 * k, 6.5 + 10 * (k % 3)] for k in range(count)]
    for name, count in (("a", 3), ("b", 1), ("c", 5), ("d", 2))
}
SIZE = 40, 60  # height, width
ONE_FILE = {"fsc147": "all.json", "json": "all.json", "coco": "all.json", "csv": "all.csv"}
BESIDE = {"voc": "notes/{stem}.xml", "yolo": "notes/{stem}.txt", "dots": "notes/{stem}.png"}


def write_images(root: Path) -> None:
    (root / "images").mkdir(parents=True)
    (root / "notes").mkdir()
    for number, name in enumerate(POINTS):
        image = np.full((*SIZE, 3), 40 * number, np.uint8)
        cv2.imwrite(str(root / "images" / name), image)


def write_annotations(root: Path, format: str) -> None:
    content: Any = POINTS
    if format == "fsc147":
        content = {name: {"points": rows, "H": SIZE[0]} for name, rows in POINTS.items()}
    if format == "coco":
        boxes = [
            {"image_id": i, "category_id": 7, "bbox": [x - 2, y - 3, 4, 6]}
            for i, rows in enumerate(POINTS.values())
            for x, y in rows
        ]
        images = [{"id": i, "file_name": name} for i, name in enumerate(POINTS)]
        categories = [{"id": 7, "name": "cell"}]
        content = {"images": images, "annotations": boxes, "categories": categories}
    if format in ("fsc147", "json", "coco"):
        (root / "all.json").write_text(json.dumps(content))
    if format == "csv":
        lines = [f"{name},{x},{y}" for name, rows in POINTS.items() for x, y in rows]
        (root / "all.csv").write_text("\n".join(["file,x,y", *lines]))
    for name, rows in POINTS.items():
        file = root / "notes" / name
        if format == "voc":
            objects = "".join(
                f"<object><name>cell</name><bndbox><xmin>{x - 2}</xmin><ymin>{y - 1}</ymin>"
                f"<xmax>{x + 2}</xmax><ymax>{y + 1}</ymax></bndbox></object>"
                for x, y in rows
            )
            file.with_suffix(".xml").write_text(f"<annotation>{objects}</annotation>")
        if format == "yolo":
            lines = [f"0 {x / SIZE[1]} {y / SIZE[0]} 0.1 0.1" for x, y in rows]
            file.with_suffix(".txt").write_text("\n".join(lines))
        if format == "dots":
            dots = np.zeros(SIZE, np.uint8)
            for x, y in rows:
                dots[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = 255
            cv2.imwrite(str(file), dots)


def opened(root: Path, format: str, **changed: Any) -> Data:
    params: dict[str, Any] = {
        "root": str(root),
        "format": format,
        "images": "images/*.png",
        "annotations": {**ONE_FILE, **BESIDE}[format],
        "splits": {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0},
        "canvas": [32, 32],
        "validation_draws": 4,
        **changed,
    }
    context = DataContext(Path, root / "cache")
    data: Data = datasets.parse({"name": "points", "params": params}).build(context)
    return data


def points_of(data: Data) -> dict[str, list[list[float]]]:
    return {
        Path(each.pair.name).name: each.points.tolist()
        for split in data.splits.values()
        for each in split.images  # type: ignore[attr-defined]
    }


@pytest.fixture
def folder(tmp_path, request):
    write_images(tmp_path)
    write_annotations(tmp_path, request.param)
    return tmp_path


def each_of(*formats: str):
    return pytest.mark.parametrize("folder", formats, indirect=True)


@pytest.mark.parametrize("format", [*ONE_FILE, *BESIDE])
def test_every_format_gives_the_same_points(format, tmp_path):
    write_images(tmp_path)
    write_annotations(tmp_path, format)
    found = points_of(opened(tmp_path, format))
    assert sorted(found) == sorted(POINTS)
    for name, rows in found.items():
        assert np.array(sorted(rows)) == pytest.approx(np.array(sorted(POINTS[name])))


@each_of("json")
def test_the_fingerprint_follows_a_point(folder):
    before = opened(folder, "json").fingerprint
    assert opened(folder, "json").fingerprint == before
    (folder / "all.json").write_text(json.dumps({**POINTS, "b.png": [[1.0, 2.0]]}))
    assert opened(folder, "json").fingerprint != before


@each_of("json")
def test_lists_may_be_text_or_one_json_file(folder):
    (folder / "train.txt").write_text("a\nc\n")
    (folder / "val.txt").write_text("images/b.png\n")
    (folder / "lists.json").write_text(json.dumps({"train": ["a.png", "c.png"], "val": ["b"]}))
    for names in ({"train": "train.txt", "val": "val.txt"}, {"train": "lists.json"}):
        lists = {"train": "lists.json", "val": "lists.json", **names}
        if "val" not in names:
            lists = dict.fromkeys(("train", "val"), "lists.json")
        data = opened(folder, "json", splits={"lists": lists})
        assert [len(split.images) for split in data.splits.values()] == [2, 1]


def said(folder: Path, format: str, **changed: Any) -> list[str]:
    with pytest.raises(DataError) as raised:
        opened(folder, format, **changed)
    assert raised.value.exit_code == 3
    return [str(problem) for problem in raised.value.problems]


@each_of("json")
def test_points_outside_images_without_points_and_missing_images_are_named_at_once(folder):
    wrong = {**POINTS, "a.png": [[60.5, 3.0], [1.0, 1.0]], "b.png": [], "ghost.png": [[1.0, 1.0]]}
    del wrong["d.png"]
    (folder / "all.json").write_text(json.dumps(wrong))
    told = said(folder, "json")
    assert len(told) == 4
    text = "\n".join(told)
    assert "a.png: point 60.5, 3 lies outside of the image, 60x40 pixels (1 of its 2" in text
    assert "b.png: has no points" in text and "d.png: has no points" in text
    assert "annotates 'ghost.png', but no such image" in text


@pytest.mark.parametrize(
    ("folder", "text", "message"),
    [
        ("json", '{"a.png": [[1, 2],', "all.json:1: is no JSON"),
        ("json", "[1, 2]", "is no mapping"),
        ("json", '{"a.png": [[1, NaN]]}', "a.png: [1, nan] is no point"),
        ("json", '{"a.png": [1, 2]}', "a.png: 1 is no point"),
        ("json", '{"a.png": 5}', "a.png: has no list of points"),
        ("fsc147", '{"a.png": {"H": 3}}', "a.png: has no list of points"),
        ("coco", "{}", "is no COCO file"),
        ("csv", "file,x\na.png,1", "has no column y"),
        ("csv", "file,x,y\na.png,1,east", "all.csv:2: a.png,1,east is no point"),
        ("csv", "file,x,y\na.png,1", "all.csv:2: a.png,1,None is no point"),
    ],
    indirect=["folder"],
)
def test_an_unreadable_file_is_named_with_what_is_wrong(folder, text, message, request):
    format = request.node.callspec.params["folder"]
    (folder / ONE_FILE[format]).write_text(text)
    assert message in "\n".join(said(folder, format))


@pytest.mark.parametrize(
    ("folder", "file", "text", "message"),
    [
        ("voc", "a.xml", "<annotation>", "a.xml: is no XML"),
        ("voc", "a.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "declares entities"),
        ("voc", "a.xml", "<a><object><name>x</name></object></a>", "a box's edges are"),
        ("voc", "a.xml", "<a></a>", "a.png: has no points"),
        ("yolo", "a.txt", "0 0.5 0.5 0.1", "a.txt:1: '0 0.5 0.5 0.1' is no box"),
        ("yolo", "a.txt", "0 1.5 0.5 0.1 0.1", "lies outside of the image"),
        ("yolo", "ghost.txt", "0 0.5 0.5 0.1 0.1", "ghost.txt: annotates no image"),
        ("dots", "a.png", "no picture", "is not an image"),
    ],
    indirect=["folder"],
)
def test_a_wrong_annotation_beside_its_image_is_named(folder, file, text, message, request):
    (folder / "notes" / file).write_text(text)
    assert message in "\n".join(said(folder, request.node.callspec.params["folder"]))


@each_of("voc")
def test_an_image_without_its_annotation_is_named(folder):
    (folder / "notes" / "c.xml").unlink()
    assert ["c.png" in each and "has no annotation" in each for each in said(folder, "voc")] == [
        True
    ]


@each_of("dots")
def test_dots_of_another_size_are_named(folder):
    cv2.imwrite(str(folder / "notes" / "a.png"), np.ones((5, 5), np.uint8))
    assert "a.png: is 5x5 pixels, its image 60x40" in said(folder, "dots")[0]


@each_of("voc", "coco")
def test_categories_part_the_boxes(folder, request):
    format = request.node.callspec.params["folder"]
    assert points_of(opened(folder, format, categories=["cell"]))
    assert "no box is of the category dog (there are: cell)" in "\n".join(
        said(folder, format, categories=["dog"])
    )


@each_of("json")
@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"annotations": "notes/{stem}.json"}, "annotations"),
        ({"annotations": "../all.json"}, "annotations"),
        ({"images": "{split}/*.png"}, "images"),
        ({"categories": ["cell"]}, "categories"),
    ],
)
def test_values_that_contradict_each_other_are_the_recipes_fault(folder, changed, key):
    with pytest.raises(RecipeError, match=f"data.params.{key}"):
        opened(folder, "json", **changed)


@each_of("json")
def test_the_same_content_in_two_splits_is_a_leak(folder):
    cv2.imwrite(str(folder / "images" / "b.png"), np.zeros((*SIZE, 3), np.uint8))
    splits = {"lists": {"train": "t.txt", "val": "v.txt"}}
    (folder / "t.txt").write_text("a\nc\n")
    (folder / "v.txt").write_text("b\n")
    assert "has the content of" in said(folder, "json", splits=splits)[0]
    assert opened(folder, "json", splits=splits, allow_leak=True)


def test_a_base_s_list_of_another_kind_is_taken_away_with_null():
    mixed = {"train": "train.txt", "val": "train.txt", "test": "splits.json"}
    with pytest.raises(ValidationError, match=r"splits.json is JSON.*test: null"):
        PointSplits.model_validate({"lists": mixed})
    rule = PointSplits.model_validate({"lists": mixed | {"test": None}}).rule()
    assert rule == Lists({"train": "train.txt", "val": "train.txt"})


@each_of("csv")
def test_rows_of_an_image_written_two_ways_are_one_image_s(folder):
    text = (folder / "all.csv").read_text()
    first, _, rest = text.partition("c.png")
    (folder / "all.csv").write_text(f"{first}c{rest}".replace("c.png", "images/c.png", 1))
    assert points_of(opened(folder, "csv")).keys() == POINTS.keys()
    found = points_of(opened(folder, "csv"))["c.png"]
    assert sorted(found) == sorted(POINTS["c.png"])


@each_of("csv")
def test_paths_that_start_above_the_root_are_found(folder):
    before = opened(folder, "csv").fingerprint
    text = (folder / "all.csv").read_text()
    for name in POINTS:
        text = text.replace(f"\n{name}", f"\nsets/{folder.name}/images/{name}")
    (folder / "all.csv").write_text(text)
    assert text.count("sets/") == 11
    assert opened(folder, "csv").fingerprint == before
    (folder / "list.txt").write_text("somewhere/images/a.png\nb\n")
    splits = {"lists": {"train": "list.txt", "val": "list.txt"}}
    assert sorted(points_of(opened(folder, "csv", splits=splits, allow_leak=True))) == [
        "a.png", "b.png"
    ]  # fmt: skip


@each_of("dots")
@pytest.mark.parametrize("called", ["b.jpg", "b.png"])
def test_dots_that_were_saved_as_jpeg_are_refused(folder, called):
    dots = cv2.imread(str(folder / "notes" / "b.png"))
    (folder / "notes" / "b.png").unlink()
    (folder / "notes" / called).write_bytes(cv2.imencode(".jpg", dots)[1].tobytes())
    for name in ("a", "c", "d"):
        path = folder / "notes" / f"{name}.png"
        path.rename(path.with_suffix(called[-4:]))
    [message] = said(folder, "dots", annotations="notes/{stem}" + called[-4:])
    assert f"{called}: is a JPEG" in message and "save the dots as PNG" in message


@each_of("json")
def test_two_keys_of_one_image_are_refused(folder):
    (folder / "all.json").write_text(json.dumps({**POINTS, "c": [[1.0, 2.0]]}))
    [message] = said(folder, "json")
    assert "'c.png' and 'c' are both images/c.png" in message


@each_of("json")
def test_points_at_the_same_place_are_told_and_count(folder, caplog):
    assert opened(folder, "json").inventory.remarks == ()
    rows = [[4.5, 6.5], [9.5, 6.5], [4.5, 6.5], [4.5, 6.5]]
    (folder / "all.json").write_text(json.dumps({**POINTS, "c.png": rows}))
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(folder, "json")
    [remark] = data.inventory.remarks
    assert (remark.kind, remark.level, remark.count) == ("repeated_points", "note", 1)
    assert remark.message.startswith("2 points are where another of the same image is")
    assert remark.places == ["images/c.png: 4.5, 6.5 stands there 3 times"]
    assert "2 points are where another" in caplog.text
    assert points_of(data)["c.png"] == rows, "none is taken away"


@each_of("csv")
def test_images_are_not_held_against_a_table_that_cannot_be_read(folder):
    with (folder / "all.csv").open("a") as file:
        file.write("\nc.png,1,two")
    [message] = said(folder, "csv")
    assert "is no point" in message


@each_of("coco")
def test_an_image_without_a_box_that_counts_is_told_of_the_categories(folder):
    content = json.loads((folder / "all.json").read_text())
    content["categories"].append({"id": 8, "name": "dust"})
    content["annotations"][3]["category_id"] = 8
    (folder / "all.json").write_text(json.dumps(content))
    [message] = said(folder, "coco", categories=["cell"])
    assert "b.png: has no points of cell" in message and "data.params.categories" in message


def broken_box(folder, key, value):
    content = json.loads((folder / "all.json").read_text())
    content["annotations"][0][key] = value
    (folder / "all.json").write_text(json.dumps(content))


@each_of("coco")
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("image_id", [1], "is of the image [1]"),
        ("category_id", {}, "unhashable"),
        ("bbox", [10**400, 1, 2, 3], "is no box"),
    ],
)
def test_a_coco_box_of_strange_values_is_named(folder, key, value, message):
    broken_box(folder, key, value)
    assert message in said(folder, "coco")[0]


@each_of("json")
def test_a_number_of_too_many_digits_is_named(folder):
    (folder / "all.json").write_text('{"a.png": [[1, ' + "1" * 5000 + "]]}")
    [message] = said(folder, "json")
    assert "all.json" in message and "digits" in message


@each_of("csv")
def test_a_csv_field_without_end_is_named_with_its_line(folder):
    with (folder / "all.csv").open("a") as file:
        file.write("\n" + "x" * 200_000 + ",1,2")
    [message] = said(folder, "csv")
    assert "all.csv:1" in message and "field larger" in message
