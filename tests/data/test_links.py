"""A link that leads nowhere is told with its target: it is no file that was never there."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.contracts import DataContext
from runner.data.companions import lacking
from runner.data.links import broken, require_folder
from runner.data.pairs import Layout, find_images
from runner.errors import DataError
from runner.registry import datasets


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/images", "b/images"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "0.png").touch()
    return tmp_path


def said(root: Path, images: str) -> list[str]:
    with pytest.raises(DataError) as raised:
        find_images(root, Layout(images, "masks/{stem}.png"))
    return [str(each) for each in raised.value.problems]


def test_link_to_a_file_is_the_file(root: Path) -> None:
    (root / "a/images/1.png").symlink_to(root / "b/images/0.png")
    found = find_images(root, Layout("a/images/*.png", "masks/{stem}.png"))
    assert [each.name for each in found] == ["a/images/0.png", "a/images/1.png"]


def test_broken_link_that_the_pattern_matches_is_named_with_its_target(root: Path) -> None:
    for number in (1, 2):
        (root / f"a/images/{number}.png").symlink_to("/gone/x.png")
    (root / "a/images/._3.png").symlink_to("/gone/x.png")
    (root / "a/images/4.jpg").symlink_to("/gone/x.jpg")
    assert said(root, "a/images/*.png") == [
        f"{root}/a/images/{number}.png: is a link to /gone/x.png, which is not there; "
        "mend the link, or remove it"
        for number in (1, 2)
    ]


def test_broken_link_to_a_folder_and_one_without_a_star_are_named(root: Path) -> None:
    (root / "c").symlink_to("/gone")
    (root / "d").mkdir()
    (root / "d/images").symlink_to("d/images")
    (root / "b/images/0.png").unlink()
    (root / "b/images/0.png").symlink_to("/gone/0.png")
    assert [line.partition(": ")[0] for line in said(root, "*/images/0.png")] == [
        f"{root}/b/images/0.png", f"{root}/c", f"{root}/d/images"
    ]  # fmt: skip
    assert said(root, "c/*.png")[0].startswith(f"{root}/c: is a link to /gone, which is not there")


def test_where_nothing_matches_broken_links_are_among_what_there_is(root: Path) -> None:
    (root / "a/images/0.png").unlink()
    for number in (1, 2):
        (root / f"a/images/{number}.jpg").symlink_to("/gone/x.jpg")
    [line] = said(root, "a/images/*.png")
    assert "that folder holds 2 links that lead nowhere, such as 1.jpg" in line


def test_many_broken_links_are_counted(root: Path) -> None:
    for number in range(1, 31):
        (root / f"a/images/{number}.png").symlink_to("/gone/x.png")
    assert len(said(root, "a/images/*.png")) == 21
    assert said(root, "a/images/*.png")[-1].startswith(f"{root}: 10 more links lead nowhere")


def test_broken_link_to_a_mask_is_named_with_its_target(root: Path) -> None:
    (root / "m.png").symlink_to("/gone/m.png")
    [wrong] = lacking(root, [("a/images/0.png", "m.png")], "mask", "", "data.params.masks")
    assert str(wrong).startswith(f"{root}/m.png: is a link to /gone/m.png, which is not there")
    assert broken(root / "none.png") is None


def test_relative_root_is_named_with_the_folder_it_was_looked_up_from(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(DataError) as raised:
        require_folder(Path("photos"))
    assert str(raised.value).startswith(f"photos: is no folder at {root}/photos; correct data.par")
    require_folder(Path("a"))
    Path("photos").symlink_to("/gone")
    with pytest.raises(DataError, match="photos: is a link to /gone, which is not there"):
        require_folder(Path("photos"))


@pytest.mark.parametrize("kind", ["points", "volumes"])
def test_no_kind_of_data_passes_over_a_broken_link(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "0.tif").symlink_to("/gone/0.tif")
    splits = {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0}
    params = {"root": str(tmp_path), "images": "images/*.tif", "splits": splits}
    own = {
        "points": {"format": "json", "annotations": "all.json"},
        "volumes": {"labels": "labels/{stem}.tif", "patch": [8, 8, 8]},
    }
    part = datasets.parse({"name": kind, "params": {**params, **own[kind]}})
    with pytest.raises(DataError, match="is a link to /gone/0.tif, which is not there"):
        part.build(DataContext(Path, tmp_path / "cache"))
