"""An EXIF orientation is applied to nothing, and told wherever images have one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runner.contracts import Data, DataContext
from runner.data.files import read_header
from runner.data.orientation import turned
from runner.registry import datasets

EDGE = 40
SPLITS = {"folders": {"train": "train", "val": "val"}}
KINDS: dict[str, dict[str, Any]] = {
    "segmentation_folder": {"masks": "{split}/{stem}.png", "classes": ["ground", "object"]},
    "partly_labelled_folder": {"masks": "{split}/{stem}.png", "classes": ["ground", "object"]},
    "boxes": {
        "format": "yolo", "annotations": "{split}/{stem}.txt", "classes": ["c"], "size": [64, 64],
    },
    "points": {"format": "yolo", "annotations": "{split}/{stem}.txt", "canvas": [32, 32]},
}  # fmt: skip


def save(path: Path, orientation: int) -> None:
    """Write a square image: turned by a quarter it has the same size."""
    pixels = np.random.default_rng(len(path.stem)).integers(0, 256, (EDGE, EDGE, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)


def write_folder(root: Path, orientations: dict[str, int]) -> None:
    for name, orientation in orientations.items():
        path = root / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, orientation)
        mask = np.zeros((EDGE, EDGE), np.uint8)
        mask[:9] = 1
        Image.fromarray(mask).save(path.with_suffix(".png"))
        path.with_suffix(".txt").write_text("0 0.3 0.5 0.2 0.4\n")


def opened(root: Path, kind: str, cache: Path) -> Data:
    params = {"root": str(root), "images": "{split}/*.jpg", "splits": SPLITS, **KINDS[kind]}
    data: Data = datasets.parse({"name": kind, "params": params}).build(DataContext(Path, cache))
    return data


@pytest.mark.parametrize("kind", KINDS)
def test_images_with_an_orientation_are_told_once(tmp_path, caplog, kind):
    write_folder(tmp_path / "root", {"train/a": 1, "train/bb": 6, "train/ccc": 3, "val/dddd": 8})
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(tmp_path / "root", kind, tmp_path / "cache")
    [remark] = data.inventory.remarks
    assert (remark.kind, remark.level, remark.count) == ("exif_orientation", "warning", 3)
    assert remark.places[0] == "train/bb.jpg: orientation 6"
    assert "3 of 4 images carry" in remark.message and "is not applied" in remark.message
    assert "exif_transpose" in remark.message and "strip the tag" in remark.message
    assert caplog.text.count("3 of 4 images carry") == 1 and "train/bb.jpg" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_upright_images_are_not_spoken_of(tmp_path, caplog, kind):
    write_folder(tmp_path / "root", {"train/a": 1, "train/bb": 1, "val/dddd": 1})
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(tmp_path / "root", kind, tmp_path / "cache")
    assert data.inventory.remarks == () and "EXIF" not in caplog.text


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize(("written", "read"), [(1, 1), (3, 3), (6, 6), (0, 1), (9, 1)])
def test_the_header_says_how_a_viewer_turns_an_image(tmp_path, suffix, written, read):
    path = tmp_path / f"x.{suffix}"
    save(path, written)
    assert read_header(path).orientation == read


def test_a_tiff_that_is_decoded_upright_is_as_stored(tmp_path):
    path = tmp_path / "x.tif"
    Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(path, tiffinfo={0x0112: 6})
    assert read_header(path).orientation == 1


@pytest.mark.parametrize("damage", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\0\0", b"noise"])
def test_a_damaged_exif_is_none(tmp_path, damage):
    path = tmp_path / "x.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=damage)
    assert read_header(path).orientation == 1


def test_one_image_is_told_in_the_singular():
    [remark] = turned({"a.jpg": 1, "b.jpg": 3})
    assert "1 of 2 images carries an EXIF orientation" in remark.message
