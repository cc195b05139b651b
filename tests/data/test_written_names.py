"""A written path finds its image however much of the path it writes, and never another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.data.written_names import ImageNames, Spellings

NAMES = ("train/a.png", "train/b.png", "val/b.png", "train/c.d.png", "e.png", "val/e.png")


@pytest.mark.parametrize(
    ("written", "images", "before"),
    [
        ("train/a.png", ["train/a.png"], ""),
        ("./train/a.png", ["train/a.png"], ""),
        ("train\\a.png", ["train/a.png"], ""),
        ("train/a", ["train/a.png"], ""),
        ("a.png", ["train/a.png"], ""),
        ("a", ["train/a.png"], ""),
        ("c.d", ["train/c.d.png"], ""),
        ("b.png", ["train/b.png", "val/b.png"], ""),
        # The whole path from the root, though another image's ends so.
        ("e.png", ["e.png"], ""),
        ("data/train/b.png", ["train/b.png"], "data"),
        ("/home/me/data/val/b", ["val/b.png"], "/home/me/data"),
        ("../train/b.png", ["train/b.png"], ".."),
        # Another folder's image of the same name is another image.
        ("test/a.png", [], ""),
        ("a.jpg", [], ""),
    ],
)
def test_a_written_path_finds_its_image(tmp_path, written, images, before):
    meant = ImageNames(tmp_path, NAMES).meant_by(written)
    assert (sorted(meant.images), meant.before) == (images, before)


def test_a_file_that_lies_below_the_root_is_no_image_of_a_shorter_path(tmp_path):
    names = ImageNames(tmp_path, ["a.png"])
    assert names.meant_by("val/a.png").images == ("a.png",)
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "a.png").touch()
    assert names.meant_by("val/a.png").images == ()


def test_two_longer_paths_of_one_image_are_told(tmp_path):
    names, spellings = ImageNames(tmp_path, ["a.png"]), Spellings()
    said = [
        spellings.other(each, names.meant_by(each))
        for each in ("train/a.png", "a.png", "train/a.png", "val/a.png")
    ]
    assert said == ["", "", "", "train/a.png"]


def test_a_path_too_long_for_a_file_is_no_image(tmp_path: Path):
    assert ImageNames(tmp_path, NAMES).meant_by("x" * 5000 + "/y.png").images == ()
