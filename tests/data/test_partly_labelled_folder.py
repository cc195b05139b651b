from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from runner.contracts import Data, DataContext, Draw, Sample
from runner.data.crops import CentredCut
from runner.errors import DataError, RecipeError
from runner.registry import datasets

Opener = Callable[..., Data]
SOURCE = "*/images/{source}_*.png"
HALVES = {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0}
LISTS = {"lists": {"train": "train.txt", "val": "val.txt"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sites of four sources with three patches each; the third of each has no mask."""
    root = tmp_path / "root"
    random = np.random.default_rng(0)
    colours = np.array([(0, 0, 0), (255, 50, 50)], np.uint8)
    for site in ("site-1", "site-2"):
        for kind in ("images", "masks"):
            (root / site / kind).mkdir(parents=True)
        for source in "abcd":
            for patch in range(3):
                name = f"{source}_{patch}.png"
                image = random.integers(0, 256, (24, 24, 3), dtype=np.uint8)
                cv2.imwrite(str(root / site / "images" / name), image)
                if patch < 2:
                    mask = colours[random.integers(0, 2, (24, 24))]
                    cv2.imwrite(str(root / site / "masks" / name), mask[..., ::-1])
    (root / "map.csv").write_text(
        "r,g,b,name,target_id,target_name\n0,0,0,ground,0,ground\n255,50,50,water,1,water\n"
    )
    return root


@pytest.fixture
def opened(root: Path, tmp_path: Path) -> Opener:
    """Open the folder as a recipe would, with some parameters changed."""

    def open_with(**changed: Any) -> Data:
        params = {
            "root": str(root),
            "images": "*/images/*.png",
            "masks": "*/masks/{stem}.png",
            "mask_format": "rgb",
            "mapping": "map.csv",
            "splits": HALVES,
            "source": SOURCE,
            **changed,
        }
        block = {"name": "partly_labelled_folder", "params": params}
        return datasets.parse(block).build(DataContext(Path, tmp_path / "cache"))

    return open_with


def messages(opened: Opener, **changed: Any) -> list[str]:
    """Return all problems that opening finds."""
    with pytest.raises((DataError, RecipeError)) as raised:
        opened(**changed)
    return [str(problem) for problem in raised.value.problems]


def seeded(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def loaded(data: Data, name: str, seed: int = 0, **draw: Any) -> Sample:
    split = data.splits["train"]
    return split.load(Draw(0, split.ids.index(name), **draw), seeded(seed))


def kinds(data: Data) -> dict[str, bool]:
    split = data.splits["train"]
    return dict(zip(split.ids, split.is_labelled, strict=True))


def sources(names: Any) -> set[str]:
    return {name.split("_")[0] for name in names}


def lines(root: Path, **lists: str) -> None:
    for name, text in lists.items():
        (root / f"{name}.txt").write_text("\n".join(text.split()))


def test_an_image_without_mask_is_unlabelled(opened: Opener) -> None:
    train = kinds(opened())
    assert len(train) == 12
    assert all(is_labelled == (not name.endswith("_2.png")) for name, is_labelled in train.items())
    assert all(opened().splits["val"].is_labelled)


def test_fractions_keep_the_patches_of_a_source_together(opened: Opener) -> None:
    data = opened()
    train, val = sources(data.splits["train"].ids), sources(data.splits["val"].ids)
    assert not train & val
    assert len(train) == len(val) == 4
    assert len(data.splits["val"]) == 8


def test_unlabelled_patches_of_a_source_that_validates_are_left_out_and_told(
    opened: Opener,
) -> None:
    [remark] = opened().inventory.remarks
    assert (remark.kind, remark.count, len(remark.places)) == ("left_out", 4, 4)
    assert sources(remark.places) == sources(opened().splits["val"].ids)


def test_patches_dealt_one_by_one_leak_and_are_refused(opened: Opener) -> None:
    splits = {**HALVES, "by": "image"}
    found = messages(opened, splits=splits)
    assert found
    assert all("images of the source" in each and "[shared_source]" in each for each in found)
    assert "in 'train' (site-1/images/" in found[0]
    data = opened(splits=splits, allow_leak=["shared_source"])
    assert len(data.splits["train"]) == 8 + 8
    assert data.inventory.remarks == ()


def test_without_source_every_image_stands_alone(opened: Opener) -> None:
    data = opened(source=None)
    assert len(data.splits["train"]) == 8 + 8
    assert len(data.splits["val"]) == 8


def test_a_source_is_told_apart_by_all_that_varies_before_its_end(opened: Opener) -> None:
    assert len(sources(opened().splits["val"].ids)) == 4
    data = opened(source="{source}/images/*.png")
    assert {name.split("/")[0] for name in data.splits["val"].ids} in ({"site-1"}, {"site-2"})


def test_an_image_of_no_source_is_named(opened: Opener) -> None:
    found = messages(opened, source="*/images/{source}-*.png")
    assert len(found) == 24
    assert "site-1/images/a_0.png: does not match data.params.source" in found[0]
    [message] = messages(opened, source="images/*.png")
    assert message.startswith("data.params.source: ")


def test_a_list_withholds_masks_that_exist(opened: Opener, root: Path) -> None:
    lines(root, some="site-1/images/a_0.png site-2/images/a_0.png site-1/images/b_0.png")
    data = opened(labels={"labelled": "some.txt"}, splits=HALVES)
    assert sum(kinds(data).values()) + len(data.splits["val"]) == 3
    assert sources(data.splits["train"].ids) & sources(data.splits["val"].ids) == set()


def test_the_masks_of_unlabelled_images_are_known_but_not_trained_on(
    opened: Opener, root: Path
) -> None:
    every = "site-1/images/a_0.png site-1/images/a_1.png site-1/images/a_2.png"
    lines(root, some="site-1/images/a_0.png", train=every, val="site-2/images/b_0.png")
    data = opened(labels={"labelled": "some.txt"}, splits=LISTS)
    known, none = (loaded(data, f"site-1/images/a_{number}.png") for number in (1, 2))
    assert not known.is_labelled
    assert not none.is_labelled
    assert set(np.unique(known.target["mask"])) == {0, 1}
    assert (none.target["mask"] == 255).all()
    own = loaded(data, "site-1/images/a_0.png")
    assert own.is_labelled
    counts = np.bincount(own.target["mask"].ravel(), minlength=2)
    assert data.spec.measured["class_pixels"] == tuple(map(float, counts))


def test_a_withheld_mask_does_not_decide_where_a_crop_is_taken(opened: Opener, root: Path) -> None:
    path = root / "site-1" / "masks" / "a_1.png"
    mask = np.zeros((24, 24, 3), np.uint8)
    mask[0, 0] = (50, 50, 255)
    cv2.imwrite(str(path), mask)
    lines(root, none="site-1/images/a_1.png", val="site-2/images/b_0.png")
    lines(root, train="site-1/images/a_0.png site-1/images/a_1.png")
    values = {"splits": LISTS, "crop": [4, 4], "cache": False}
    cut = CentredCut((1,), 1.0)
    for labels, is_followed in (({}, True), ({"unlabelled": "none.txt"}, False)):
        data = opened(labels=labels, **values)
        crops = [loaded(data, "site-1/images/a_1.png", seed, cut=cut) for seed in range(20)]
        assert all((crop.target["mask"] == 1).any() for crop in crops) == is_followed


def test_a_validation_image_in_the_unlabelled_list_is_refused(opened: Opener, root: Path) -> None:
    lines(root, train="site-1/images/a_0.png", val="site-2/images/b_0.png site-2/images/c_0.png")
    lines(root, rest="site-1/images/b_2.png site-2/images/b_0.png")
    values = {"splits": LISTS, "labels": {"unlabelled": "rest.txt"}}
    [message] = messages(opened, **values)
    assert "site-2/images/b_0.png: of the split 'train, unlabelled' is the same image" in message
    assert "allow_leak: [validation_unlabelled]" in message
    data = opened(**values, allow_leak=["validation_unlabelled"])
    assert kinds(data) == {
        "site-1/images/a_0.png": True,
        "site-1/images/b_2.png": False,
        "site-2/images/b_0.png": False,
    }


def test_splits_drawn_without_masks_leak_by_name(opened: Opener) -> None:
    streams = ["train", "val"]
    found = messages(opened, unlabelled_splits=streams)
    assert len(found) == 8
    assert all("[validation_unlabelled]" in each for each in found)
    data = opened(unlabelled_splits=streams, allow_leak=["validation_unlabelled"])
    assert {*data.splits["val"].ids} < {name + "@0,0" for name in data.splits["train"].ids}
    assert sum(kinds(data).values()) == 8


def test_a_copy_under_another_name_is_a_leak(opened: Opener, root: Path) -> None:
    folder = root / "site-1" / "images"
    (folder / "z_2.png").write_bytes((root / "site-2" / "images" / "b_0.png").read_bytes())
    lines(root, train="site-1/images/a_0.png site-1/images/z_2.png", val="site-2/images/b_0.png")
    [message] = messages(opened, splits=LISTS)
    assert "z_2.png" in message
    assert "has the content of" in message


def test_lists_of_splits_that_share_a_source_are_refused(opened: Opener, root: Path) -> None:
    lines(root, train="site-1/images/a_0.png site-1/images/a_2.png", val="site-1/images/a_1.png")
    [message] = messages(opened, splits=LISTS)
    assert "images of the source 'site-1/a' are on both sides" in message
    assert "2 in 'train' (site-1/images/a_0.png), 1 in 'val' (site-1/images/a_1.png)" in message
    assert len(opened(splits=LISTS, allow_leak=["shared_source"]).splits["train"]) == 2


def test_nothing_labelled_is_said(opened: Opener, root: Path) -> None:
    lines(root, train="site-1/images/a_2.png", val="site-2/images/b_0.png")
    [message] = messages(opened, splits=LISTS)
    assert "no image of the training split is labelled" in message


def test_a_training_image_that_neither_list_names_is_refused(opened: Opener, root: Path) -> None:
    lines(root, train="site-1/images/a_0.png site-1/images/a_1.png", val="site-2/images/b_0.png")
    lines(root, one="site-1/images/a_0.png", other="site-1/images/b_0.png")
    labels = {"labelled": "one.txt", "unlabelled": "other.txt"}
    [message] = messages(opened, splits=LISTS, labels=labels)
    assert "site-1/images/a_1.png: is to be trained on, and neither list" in message


def test_a_list_of_labels_that_is_wrong_is_named(opened: Opener, root: Path) -> None:
    [message] = messages(opened, labels={"labelled": "../x.txt"})
    assert message.startswith("data.params.labels: '../x.txt' leaves the root")
    [message] = messages(opened, labels={"labelled": "absent.txt"})
    assert "correct data.params.labels.labelled" in message
    lines(root, some="site-1/images/a_0.png nobody")
    [message] = messages(opened, labels={"unlabelled": "some.txt"})
    assert "some.txt:2: 'nobody' is not among the images" in message


def test_a_colour_that_is_not_mapped_is_named_with_its_file(opened: Opener, root: Path) -> None:
    (root / "map.csv").write_text("r,g,b,name,target_id,target_name\n0,0,0,ground,0,ground\n")
    with pytest.raises(DataError) as raised:
        opened().spec.measured["class_pixels"]
    assert "masks/" in str(raised.value)
    assert "colour 255,50,50" in str(raised.value)
    assert "is not mapped" in str(raised.value)
    [message] = map(str, raised.value.problems)
    assert "in 8 masks, of which this is the first" in message


def test_the_strong_view_has_the_geometry_of_the_weak_one(opened: Opener) -> None:
    flip = {"name": "flip", "params": {"horizontal": 0.5}}
    noise = {"name": "noise", "params": {"std": [0.01, 0.01], "probability": 1.0}}
    data = opened(transforms=[flip, {"name": "affine"}], strong=[noise])
    for name in data.splits["train"].ids[:3]:
        for seed in range(3):
            sample = loaded(data, name, seed)
            strong = sample.target["strong"]
            assert strong.dtype == np.uint8
            assert strong.flags.c_contiguous
            assert strong.shape == sample.image.shape
            difference = strong.astype(int) - sample.image
            assert 0 < np.abs(difference).mean() < 10
    assert "strong" not in loaded(opened(), name).target
    assert "strong" not in data.splits["val"].load(Draw(0, 0), seeded(0)).target


def test_the_strong_view_leaves_the_weak_one_as_it_is(opened: Opener) -> None:
    flip = [{"name": "flip"}]
    plain, both = opened(transforms=flip), opened(transforms=flip, strong=[{"name": "noise"}])
    name = plain.splits["train"].ids[0]
    np.testing.assert_array_equal(loaded(plain, name, 3).image, loaded(both, name, 3).image)


@pytest.mark.parametrize("name", ["flip", "rotate90", "affine", "zoom_crop"])
def test_a_strong_view_that_moves_pixels_is_refused(opened: Opener, name: str) -> None:
    [message] = messages(opened, strong=[{"name": "color_jitter"}, {"name": name}])
    assert message.startswith(f"data.params.strong.1: {name} moves pixels")


def test_multi_scale_offers_every_32_px_and_a_draw_says_which(opened: Opener) -> None:
    data = opened(multi_scale=[32, 96], strong=[{"name": "noise"}], transforms=[{"name": "flip"}])
    assert data.splits["train"].sizes_px == (32, 64, 96)
    assert opened().splits["train"].sizes_px == ()
    name = data.splits["train"].ids[0]
    sample = loaded(data, name, size_px=64)
    assert sample.image.shape == sample.target["strong"].shape == (3, 64, 64)
    assert sample.target["mask"].shape == (64, 64)
    assert set(np.unique(sample.target["mask"])) == {0, 1}
    assert loaded(data, name).image.shape == (3, 24, 24)


@pytest.mark.parametrize(
    "changed",
    [
        {"multi_scale": [96, 32]},
        {"multi_scale": [30, 64]},
        {"allow_leak": True},
        {"allow_leak": ["all"]},
        {"unlabelled_splits": ["training"]},
        {"labels": {"labeled": "x.txt"}},
        {"splits": {**LISTS, "by": "image"}},
        {"splits": {"folders": {"train": "a"}}},
    ],
)
def test_values_out_of_range_are_refused(opened: Opener, changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        opened(**changed)


def test_the_fingerprint_tells_what_is_labelled(opened: Opener, root: Path) -> None:
    lines(root, train="site-1/images/a_0.png site-1/images/a_1.png", val="site-2/images/b_0.png")
    lines(root, one="site-1/images/a_0.png", two="site-1/images/a_1.png")
    found = [
        opened(splits=LISTS, labels={"labelled": f"{name}.txt"}).fingerprint
        for name in ("one", "two")
    ]
    assert found[0] != found[1]


def test_surveys_count_labelled_images_and_leave_the_masks_of_others_alone(
    opened: Opener, root: Path
) -> None:
    data = opened(source=None, splits={**HALVES})
    (root / "site-1" / "masks" / "a_2.png").write_text("no image")
    items = pickle.loads(pickle.dumps(data.inventory.items["train"]))
    found = [(item.is_labelled, item.survey()) for item in items]
    assert not any(survey.problems for _, survey in found)
    assert all(bool(survey.counts) == is_labelled for is_labelled, survey in found)
    counts = np.sum([survey.counts for is_labelled, survey in found if is_labelled], 0)
    assert tuple(counts) == data.spec.measured["class_pixels"]


def test_mask_that_is_a_broken_link_makes_no_image_unlabelled(opened: Opener, root: Path) -> None:
    (root / "site-1/masks/a_0.png").unlink()
    (root / "site-1/masks/a_0.png").symlink_to("/gone/a_0.png")
    [message] = messages(opened)
    assert message.startswith(f"{root}/site-1/masks/a_0.png: is a link to /gone/a_0.png")
