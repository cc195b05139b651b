from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from runner.contracts import Data, Draw
from runner.errors import DataError, RecipeError

Opener = Callable[..., Data]
FOLDERS = {"splits": {"folders": {"train": "train", "val": "val"}}}
SPLIT_PATTERNS = {"images": "{split}/images/*.png", "masks": "{split}/masks/{stem}.png"}


def messages(opened: Opener, **changed: Any) -> list[str]:
    """Return all problems that opening finds."""
    with pytest.raises((DataError, RecipeError)) as raised:
        opened(**changed)
    return [str(problem) for problem in raised.value.problems]


def truncate(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])


def by_folder(folder: Path, **splits: range) -> None:
    """Copy the folder's images and masks into a folder for each split."""
    for split, numbers in splits.items():
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
            for number in numbers:
                shutil.copy(folder / kind / f"{number}.png", folder / split / kind)


def test_a_folder_becomes_splits_with_the_mappings_classes(opened: Opener) -> None:
    data = opened()
    assert data.spec.classes == ("safe", "danger")
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 7, "val": 27}
    assert not {*data.splits["train"].ids} & {each.split("@")[0] for each in data.splits["val"].ids}


def test_class_pixels_are_those_of_the_training_masks_without_ignore(
    opened: Opener, folder: Path
) -> None:
    data = opened()
    masks = [
        cv2.imread(str(folder / name.replace("images", "masks")), cv2.IMREAD_UNCHANGED)
        for name in data.splits["train"].ids
    ]
    counts = [sum(int((mask == index).sum()) for mask in masks) for index in (1, 2)]
    assert data.spec.measured["class_pixels"] == tuple(map(float, counts))
    assert opened(cache=False).spec.measured["class_pixels"] == tuple(map(float, counts))


def test_a_missing_root_is_named(opened: Opener, folder: Path) -> None:
    [message] = messages(opened, root=str(folder / "absent"))
    assert message.startswith(str(folder / "absent"))


def test_a_pattern_without_match_says_what_is_there(opened: Opener) -> None:
    [message] = messages(opened, images="images/*.JPG")
    assert "'images/*.JPG'" in message
    assert "10 *.png" in message
    [message] = messages(opened, images="pictures/*.jpg")
    assert "no image matches 'pictures/*.jpg'" in message


def test_everything_wrong_with_the_files_is_reported_at_once(opened: Opener, folder: Path) -> None:
    (folder / "masks" / "0.png").unlink()
    cv2.imwrite(str(folder / "masks" / "1.png"), np.zeros((48, 40), np.uint8))
    (folder / "images" / "2.png").write_text("no image")
    (folder / "map.csv").write_text("r,g,b\n")
    found = "\n".join(messages(opened))
    assert "images/0.png: has no mask: masks/0.png does not exist" in found
    assert "images/1.png: is 48x40 pixels, its mask masks/1.png 40x48" in found
    assert "images/2.png: is not an image" in found
    assert "map.csv: the column source_id" in found


def test_a_mask_without_image_is_no_problem(opened: Opener, folder: Path) -> None:
    shutil.copy(folder / "masks" / "0.png", folder / "masks" / "extra.png")
    assert len(opened().splits["train"]) == 7


def test_hidden_files_are_no_images(opened: Opener, folder: Path) -> None:
    (folder / "images" / "._0.png").write_bytes(b"resource fork")
    assert len(opened().splits["train"]) == 7


@pytest.mark.parametrize("cache", [True, False])
def test_a_truncated_image_is_named_when_it_is_read(
    opened: Opener, folder: Path, cache: bool, generator: np.random.Generator
) -> None:
    for path in (folder / "images").iterdir():
        truncate(path, 3000)
    split = opened(cache=cache).splits["train"]
    with pytest.raises(DataError, match=split.ids[3]):
        split.load(Draw(0, 3), generator)


def test_an_unmapped_id_is_named_when_it_is_measured(opened: Opener, folder: Path) -> None:
    (folder / "map.csv").write_text("source_id,source_name,target_id,target_name\n1,road,0,a\n")
    with pytest.raises(DataError) as raised:
        opened().spec.measured["class_pixels"]
    told = sorted(map(str, raised.value.problems))
    assert len(told) == 2, "two ids, each in all seven training masks"
    assert all("pixels in 7 masks, of which this is the first" in each for each in told)
    assert {re.search(r"masks/\d.png: id (\d) is not mapped", each)[1] for each in told} == {
        "0",
        "2",
    }


def test_an_empty_split_is_an_error(opened: Opener, folder: Path) -> None:
    splits = {"fractions": {"train": 0.98, "val": 0.02}, "seed": 0}
    [message] = messages(opened, splits=splits)
    assert "the split 'val' is empty" in message
    (folder / "t.txt").write_text("0\n1\n")
    (folder / "v.txt").write_text("\n")
    [message] = messages(opened, splits={"lists": {"train": "t.txt", "val": "v.txt"}})
    assert "the split 'val' is empty" in message


def test_lists_name_images_by_path_name_or_stem(opened: Opener, folder: Path) -> None:
    (folder / "t.txt").write_text("images/3.png\n1.png\n\n 2 \n")
    (folder / "v.txt").write_text("images/4\n")
    data = opened(splits={"lists": {"train": "t.txt", "val": "v.txt"}}, crop=None)
    assert data.splits["train"].ids == ("images/1.png", "images/2.png", "images/3.png")
    assert data.splits["val"].ids == ("images/4.png@0,0",)


def test_a_list_with_unknown_or_repeated_images_names_its_lines(
    opened: Opener, folder: Path
) -> None:
    (folder / "t.txt").write_text("0\n99\n0.png\n")
    found = messages(opened, splits={"lists": {"train": "t.txt", "val": "absent.txt"}})
    assert "t.txt:2: '99' is not among the images" in found[0]
    assert "t.txt:3: '0.png' stands on an earlier line" in found[1]
    assert "absent.txt: the list cannot be read" in found[2]


def test_an_image_in_two_lists_is_a_leak(opened: Opener, folder: Path) -> None:
    (folder / "t.txt").write_text("0\n1\n2\n")
    (folder / "v.txt").write_text("2\n3\n")
    splits = {"lists": {"train": "t.txt", "val": "v.txt"}}
    [message] = messages(opened, splits=splits)
    assert "images/2.png: of the split 'val' is the same image" in message
    assert "allow_leak: true" in message
    assert len(opened(splits=splits, allow_leak=True).splits["train"]) == 3


def test_folders_are_splits(opened: Opener, folder: Path) -> None:
    by_folder(folder, train=range(6), val=range(6, 10))
    data = opened(**FOLDERS, **SPLIT_PATTERNS, crop=None)
    assert len(data.splits["train"]) == 6
    assert data.splits["val"].ids[0] == "val/images/6.png@0,0"


def test_an_image_of_the_same_name_in_two_folders_is_a_leak(opened: Opener, folder: Path) -> None:
    by_folder(folder, train=range(6), val=range(5, 8))
    [message] = messages(opened, **FOLDERS, **SPLIT_PATTERNS)
    assert (
        "val/images/5.png: of the split 'val' is of the same name as train/images/5.png" in message
    )


def test_an_image_saved_anew_under_its_name_is_a_leak(opened: Opener, folder: Path) -> None:
    by_folder(folder, train=range(6), val=range(6, 8))
    for kind in ("images", "masks"):
        shutil.copy(folder / kind / "0.png", folder / "val" / kind / "0.png")
    with Image.open(folder / "images" / "0.png") as image:
        image.save(folder / "val" / "images" / "0.png", compress_level=1)
    assert (folder / "val/images/0.png").read_bytes() != (folder / "images/0.png").read_bytes()
    [message] = messages(opened, **FOLDERS, **SPLIT_PATTERNS)
    assert "val/images/0.png: of the split 'val' is of the same name" in message


def test_splits_may_count_their_images_anew(opened: Opener, folder: Path) -> None:
    by_folder(folder, train=range(6), val=range(6, 10))
    for kind in ("images", "masks"):
        for number in range(6, 10):
            path = folder / "val" / kind / f"{number}.png"
            path.rename(path.with_name(f"{number - 6}.png"))
    data = opened(**FOLDERS, **SPLIT_PATTERNS, crop=None)
    assert len(data.splits["val"]) == 4
    for kind in ("images", "masks"):
        shutil.copy(folder / kind / "0.png", folder / "val" / kind / "9.png")
    [message] = messages(opened, **FOLDERS, **SPLIT_PATTERNS)
    assert "val/images/9.png: of the split 'val' has the content of train/images/0.png" in message


def test_a_blank_or_damaged_image_makes_no_leak_of_its_namesakes(
    opened: Opener, folder: Path
) -> None:
    by_folder(folder, train=range(6), val=range(6, 10))
    for kind in ("images", "masks"):
        for number in range(6, 10):
            path = folder / "val" / kind / f"{number}.png"
            path.rename(path.with_name(f"{number - 6}.png"))
    for split, grey in (("train", 0), ("val", 1)):
        cv2.imwrite(str(folder / split / "images" / "0.png"), np.full((40, 48, 3), grey, np.uint8))
    truncate(folder / "val" / "images" / "1.png", 200)
    assert len(opened(**FOLDERS, **SPLIT_PATTERNS, crop=None).splits["val"]) == 4


def test_the_same_content_under_another_name_is_a_leak(opened: Opener, folder: Path) -> None:
    by_folder(folder, train=range(6), val=range(6, 8))
    for kind in ("images", "masks"):
        shutil.copy(folder / kind / "0.png", folder / "val" / kind / "twin.png")
    [message] = messages(opened, **FOLDERS, **SPLIT_PATTERNS)
    assert (
        "val/images/twin.png: of the split 'val' has the content of train/images/0.png" in message
    )


def test_equal_stems_in_other_folders_of_one_pattern_are_no_leak(
    opened: Opener, folder: Path
) -> None:
    by_folder(folder, a=range(4), b=range(4, 8))
    for kind in ("images", "masks"):
        os.rename(folder / "b" / kind / "4.png", folder / "b" / kind / "0.png")
    data = opened(images="*/images/*.png", masks="*/masks/*.png", crop=None)
    assert sum(len(split) for split in data.splits.values()) == 8


def test_a_star_of_the_mask_is_what_it_was_in_the_image(opened: Opener, folder: Path) -> None:
    for number in range(10):
        os.rename(folder / "images" / f"{number}.png", folder / "images" / f"{number}-ortho.png")
        os.rename(folder / "masks" / f"{number}.png", folder / "masks" / f"{number}-label.png")
    assert len(opened(images="images/*-ortho.png", masks="masks/*-label.png").splits["train"]) == 7


@pytest.mark.parametrize(
    ("changed", "key", "said"),
    [
        ({"images": "../images/*.png"}, "images", "leaves the root"),
        ({"masks": "/etc/{stem}.png"}, "masks", "leaves the root"),
        ({"images": "images/**/*.png"}, "images", "** has no meaning"),
        ({"masks": "masks/{name}.png"}, "masks", "{name} has no meaning"),
        ({"masks": "*/*/*.png"}, "masks", "has more *"),
        ({"masks": "masks/0.png"}, "masks", "the same file for every image"),
        ({"masks": "{split}/{stem}.png"}, "masks", "has {split}"),
        ({"images": "{split}/*.png"}, "images", "write both or neither"),
        (FOLDERS, "images", "write both or neither"),
        ({"classes": ["a"]}, "mapping", "either mapping"),
        ({"mapping": None}, "mapping", "either mapping"),
        ({"mapping": "../map.csv"}, "mapping", "leaves the root"),
        (
            {"mapping": None, "classes": ["a"], "mask_format": "rgb"},
            "mask_format",
            "need the colours",
        ),
        ({"validation": "squash", "crop": None}, "validation", "set crop"),
        ({"splits": {"lists": {"train": "/t", "val": "v"}}}, "splits", "'/t' leaves the root"),
    ],
)
def test_values_that_contradict_each_other_are_the_recipes_fault(
    opened: Opener, changed: dict[str, Any], key: str, said: str
) -> None:
    found = messages(opened, **changed)
    assert any(each.startswith(f"data.params.{key}: ") and said in each for each in found), found


def test_all_contradictions_are_reported_at_once(opened: Opener) -> None:
    assert len(messages(opened, images="../x", masks="/y", mapping=None, classes=None)) >= 4


def test_whole_images_of_different_sizes_are_named(opened: Opener, folder: Path) -> None:
    for kind, shape in (("images", (40, 50, 3)), ("masks", (40, 50))):
        cv2.imwrite(str(folder / kind / "4.png"), np.ones(shape, np.uint8))
    [message] = messages(
        opened, crop=None, splits={"fractions": {"train": 0.9, "val": 0.1}, "seed": 3}
    )
    assert "images/4.png: is 50x40 pixels, images/0.png 48x40" in message
    assert opened(crop=None, resize=[40, 48]).spec.classes
    assert opened(crop=[8, 8]).spec.classes


def test_the_fingerprint_changes_with_names_sizes_splits_and_mapping(
    opened: Opener, folder: Path
) -> None:
    found = {opened().fingerprint}
    assert {opened().fingerprint} == found
    found.add(opened(splits={"fractions": {"train": 0.7, "val": 0.3}, "seed": 2}).fingerprint)
    text = (folder / "map.csv").read_text()
    (folder / "map.csv").write_text(text.replace("255", "0").replace(",\n", ",safe\n"))
    found.add(opened().fingerprint)
    (folder / "map.csv").write_text(text)
    with open(folder / "images" / "0.png", "ab") as file:
        file.write(b"x")
    found.add(opened().fingerprint)
    for kind in ("images", "masks"):
        os.rename(folder / kind / "9.png", folder / kind / "99.png")
    found.add(opened().fingerprint)
    assert len(found) == 5
    assert all(len(each) >= 12 for each in found)


def test_nothing_is_cached_without_cache(
    opened: Opener, tmp_path: Path, generator: np.random.Generator
) -> None:
    opened(cache=False).splits["train"].load(Draw(0, 0), generator)
    assert not (tmp_path / "cache").exists()
    opened(cache=True).splits["train"].load(Draw(0, 0), generator)
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 2


def test_index_masks_are_read_by_class_names(opened: Opener) -> None:
    data = opened(mapping=None, classes=["void", "road", "car"])
    assert data.spec.classes == ("void", "road", "car")
    assert sum(data.spec.measured["class_pixels"]) == 7 * 40 * 48


def test_rgb_masks_are_read_by_colour(opened: Opener, folder: Path) -> None:
    colours = np.array([[255, 0, 255], [230, 25, 75], [0, 130, 200]], np.uint8)
    for path in (folder / "masks").iterdir():
        ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), cv2.cvtColor(colours[ids], cv2.COLOR_RGB2BGR))
    with pytest.raises(DataError, match="mask_format: rgb") as caught:
        opened()
    assert len(caught.value.problems) == 10, "refused before training, every mask named"
    lines = ["255,0,255,ignore,255,", "230,25,75,building,0,safe", "0,130,200,car,1,danger"]
    text = "\n".join(["r,g,b,name,target_id,target_name", *lines])
    (folder / "map.csv").write_text(text)
    by_colour = opened(mask_format="rgb")
    assert by_colour.spec.classes == ("safe", "danger")
    assert sum(by_colour.spec.measured["class_pixels"]) > 7 * 40 * 48 * 0.6


def test_masks_of_which_none_is_there_are_told_once(opened: Opener) -> None:
    wrong = messages(opened, masks="labels/{stem}.png")
    assert len(wrong) == 2, "one for each split"
    assert "images/0.png: has no mask, nor has any of the other 6: labels/0" in wrong[0]
    assert wrong[0].endswith("correct data.params.masks")


def test_a_split_s_folder_that_is_not_there_is_told_with_those_that_are(
    opened: Opener, folder: Path
) -> None:
    for name in ("images", "masks"):
        (folder / "train" / name).parent.mkdir(exist_ok=True)
        (folder / name).rename(folder / "train" / name)
        (folder / "valid").mkdir(exist_ok=True)
    wrong = messages(
        opened, images="{split}/images/*.png", masks="{split}/masks/{stem}.png",
        splits={"folders": {"train": "train", "val": "val"}},
    )  # fmt: skip
    assert len(wrong) == 1
    assert "'val/images/*.png' (the root has no folder val; it has train, valid)" in wrong[0]
    assert "data.params.splits.folders" in wrong[0]
    (folder / "train" / "images").rename(folder / "train" / "pictures")
    [said, _] = messages(
        opened, images="{split}/images/*.png", masks="{split}/masks/{stem}.png",
        splits={"folders": {"train": "train", "val": "valid"}},
    )  # fmt: skip
    assert "(train has no folder images; it has masks, pictures)" in said


COLOURS = np.array([[0, 0, 0], [230, 25, 75], [0, 130, 200]], np.uint8)


def stored(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def coloured(folder: Path) -> None:
    """Turn a folder's masks of the ids 0 to 2 into masks of colours."""
    for path in (folder / "masks").iterdir():
        Image.fromarray(COLOURS[np.asarray(stored(path))]).save(path)
    lines = ["0,0,0,void,255,", "230,25,75,building,0,safe", "0,130,200,car,1,danger"]
    text = "\n".join(["r,g,b,name,target_id,target_name", *lines])
    (folder / "map.csv").write_text(text)


def test_a_mask_of_ids_among_masks_of_colours_is_named_before_training(
    opened: Opener, folder: Path
) -> None:
    coloured(folder)
    opened(mask_format="rgb")
    ids = np.asarray(stored(folder / "masks" / "3.png").convert("L")) % 3
    Image.fromarray(ids).save(folder / "masks" / "3.png")
    grey = Image.fromarray(ids)
    grey.putpalette([level for level in range(256) for _ in "rgb"])
    grey.save(folder / "masks" / "5.png")
    wrong = messages(opened, mask_format="rgb")
    assert len(wrong) == 2
    assert "3.png: has ids (mode L) where colours are expected" in wrong[0]
    assert "5.png: has ids (a palette without any of the mapped colours)" in wrong[1]


def test_what_encoders_make_of_colours_is_read_as_colours(opened: Opener, folder: Path) -> None:
    coloured(folder)
    before = opened(mask_format="rgb").spec.measured["class_pixels"]
    for path in (folder / "masks").iterdir():
        stored(path).quantize(3).save(path)
        assert stored(path).mode == "P"
    assert opened(mask_format="rgb").spec.measured["class_pixels"] == before
    # Of black and white alone many encoders make a grey image.
    for path in (folder / "masks").iterdir():
        stored(path).convert("L").point(lambda level: 255 * (level > 0)).save(path)
    (folder / "map.csv").write_text(
        "r,g,b,name,target_id,target_name\n0,0,0,sky,0,sky\n255,255,255,tree,1,tree\n"
    )
    assert sum(opened(mask_format="rgb").spec.measured["class_pixels"]) == 7 * 40 * 48


CAMVID = Path(__file__).parents[2] / ".." / "shared" / "data" / "camvid"


@pytest.mark.skipif(not CAMVID.is_dir(), reason="CamVid is not at ../shared/data/camvid")
def test_camvid_is_read(opened: Opener, generator: np.random.Generator) -> None:
    data = opened(
        root=str(CAMVID),
        images="{split}/images/*.jpg",
        masks="{split}/masks/{stem}.png",
        mapping="class_mapping_4.csv",
        splits={"folders": {"train": "train", "val": "val", "test": "test"}},
        crop=None,
        cache=False,
    )
    assert data.spec.classes == ("rare", "safe", "caution", "danger")
    assert [len(split) for split in data.splits.values()] == [367, 101, 233]
    pixels = np.array(data.spec.measured["class_pixels"])
    np.testing.assert_allclose(100 * pixels / pixels.sum(), [0.30, 65.3, 24.2, 10.2], atol=0.05)
    assert data.splits["val"].load(Draw(0, 5), generator).image.shape == (3, 360, 480)
