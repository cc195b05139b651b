from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from runner.data import arrays
from runner.data.arrays import count_classes
from runner.data.files import collected
from runner.data.segmentation.classes import ClassMap
from runner.data.segmentation.masks import read_mask
from runner.data.unmapped import REPORTED_VALUES, told_once
from runner.errors import DataError, Problem

INDEX = ClassMap("index", ("safe", "danger"), (0, 7, 9, 300), (0, 1, 255, 1))

# DroneDeploy's colours.
BUILDING, CLUTTER, IGNORED = (230, 25, 75), (145, 30, 180), (255, 0, 255)
RGB = ClassMap(
    "rgb",
    ("building", "clutter"),
    tuple(red << 16 | green << 8 | blue for red, green, blue in (CLUTTER, BUILDING, IGNORED)),
    (1, 0, 255),
)


def test_ids_become_class_indices(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.array([[0, 7], [9, 0]], np.uint8)).save(path)
    mask = read_mask(path, INDEX)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 1], [255, 0]]


def test_ids_above_255_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), np.array([[0, 300]], np.uint16))
    assert read_mask(path, INDEX).tolist() == [[0, 1]]


def test_a_palette_mask_keeps_its_indices(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 7]], np.uint8)).convert("P")
    image.putpalette([200, 100, 50] * 256)
    image.save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", INDEX).tolist() == [[0, 1]]


def test_colours_of_equal_grey_value_are_told_apart(tmp_path: Path) -> None:
    first, second = (100, 50, 0), (0, 101, 1)
    greys = {
        int(Image.new("RGB", (1, 1), each).convert("L").getpixel((0, 0)))
        for each in (first, second)
    }
    assert len(greys) == 1
    classes = ClassMap("rgb", ("a", "b"), (101 << 8 | 1, 100 << 16 | 50 << 8), (1, 0))
    Image.fromarray(np.array([[first, second]], np.uint8)).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", classes).tolist() == [[0, 1]]


def test_colours_become_class_indices(tmp_path: Path) -> None:
    pixels = np.array([[BUILDING, CLUTTER, IGNORED]], np.uint8)
    for suffix in ("png", "tif"):
        Image.fromarray(pixels).save(tmp_path / f"mask.{suffix}")
        assert read_mask(tmp_path / f"mask.{suffix}", RGB).tolist() == [[0, 1, 255]]


def test_unmapped_ids_are_named_with_their_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "BLOCK_PIXELS", 4)
    pixels = np.zeros((5, 6), np.uint8)
    pixels[0, :3], pixels[4, 1] = 3, 8
    pixels[3, 2] = 3
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    with pytest.raises(DataError) as raised:
        read_mask(tmp_path / "mask.png", INDEX)
    first, second = map(str, raised.value.problems)
    assert "mask.png: id 3 on 4 pixels is not mapped" in first
    assert "mask.png: id 8 on 1 pixel is not mapped" in second


def test_unmapped_colours_are_named_and_their_list_is_limited(tmp_path: Path) -> None:
    pixels = np.zeros((30, 1, 3), np.uint8)
    pixels[:, 0, 0] = np.arange(30)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    with pytest.raises(DataError) as raised:
        read_mask(tmp_path / "mask.png", RGB)
    assert "colour 0,0,0 on 1 pixel" in str(raised.value.problems[0])
    assert "10 more unmapped values on 10 pixels" in str(raised.value.problems[-1])
    assert len(raised.value.problems) == REPORTED_VALUES + 1


def test_values_that_many_masks_hold_are_told_once(tmp_path: Path) -> None:
    problems: list[Problem] = []
    for number, held in enumerate(([3, 3, 8], [3, 0, 0], [8, 3, 4], [0, 0, 0])):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.array([held], np.uint8)).save(path)
        with collected(problems):
            read_mask(path, INDEX)
    problems.append(Problem("x.png", "", "is truncated"))
    assert len(problems) == 7
    other, three, eight, four = map(str, told_once(problems))
    assert other == "x.png: is truncated"
    assert "0.png: id 3 is not mapped: 4 pixels in 3 masks, of which this is the first" in three
    assert "0.png: id 8 is not mapped: 2 pixels in 2 masks" in eight
    assert "2.png: id 4 on 1 pixel is not mapped" in four


def test_unmapped_values_of_lossy_masks_are_a_few_lines(tmp_path: Path) -> None:
    problems: list[Problem] = []
    for number in range(3):
        colours = np.zeros((40, 1, 3), np.uint8)
        colours[:, 0, 0], colours[:, 0, 1] = np.arange(40), number
        Image.fromarray(colours).save(tmp_path / f"{number}.png")
        with collected(problems):
            read_mask(tmp_path / f"{number}.png", RGB)
    told = told_once(problems)
    assert len(told) == REPORTED_VALUES + 1
    assert "more unmapped values on 100 pixels in 3 masks" in str(told[-1])


def test_a_colour_mask_is_no_index_mask(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(DataError, match="mask_format: rgb"):
        read_mask(tmp_path / "mask.png", INDEX)


def test_a_truncated_mask_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="mask.png: is truncated or damaged"):
        read_mask(path, INDEX)


def test_classes_are_counted_without_ignore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "BLOCK_PIXELS", 5)
    mask = np.array([[0, 1, 1, 255], [2, 1, 255, 0]], np.uint8)
    assert count_classes(mask, 4).tolist() == [2, 3, 1, 0]
