from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from runner.contracts import Data, Draw, Sample
from runner.data.crops import CentredCut
from runner.errors import RecipeError

Opener = Callable[..., Data]
AUGMENTED = [{"name": "flip"}, {"name": "rotate90"}, {"name": "affine"}, {"name": "noise"}]


def seeded(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def equal(first: Sample, second: Sample) -> bool:
    masks = first.target["mask"], second.target["mask"]
    return np.array_equal(first.image, second.image) and np.array_equal(*masks)


def file_of(folder: Path, name: str, kind: str = "images") -> np.ndarray:
    read = cv2.imread(str(folder / name.replace("images", kind)), cv2.IMREAD_UNCHANGED)
    return read[..., ::-1] if read.ndim == 3 else np.array([255, 0, 1], np.uint8)[read]


def test_a_crop_is_a_part_of_the_file_with_its_mask(opened: Opener, folder: Path) -> None:
    split = opened().splits["train"]
    draw = Draw(0, 2, lambda *_: (7, 9))
    sample = split.load(draw, seeded(0))
    assert sample.id == split.ids[2]
    assert sample.image.dtype == sample.target["mask"].dtype == np.uint8
    assert sample.image.flags.c_contiguous
    assert sample.target["mask"].flags.c_contiguous
    part = slice(7, 23), slice(9, 25)
    np.testing.assert_array_equal(sample.image, file_of(folder, sample.id)[part].transpose(2, 0, 1))
    np.testing.assert_array_equal(sample.target["mask"], file_of(folder, sample.id, "masks")[part])
    assert sample.mean.tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert sample.mean.dtype == sample.std.dtype == np.float32


@pytest.mark.parametrize("transforms", [[], AUGMENTED])
@pytest.mark.parametrize("cache", [True, False])
def test_a_sample_is_a_function_of_draw_and_generator(
    opened: Opener, transforms: list[dict[str, str]], cache: bool
) -> None:
    split = opened(transforms=transforms, cache=cache).splits["train"]
    other = pickle.loads(pickle.dumps(split))
    first = split.load(Draw(3, 1), seeded(5))
    split.load(Draw(4, 2), seeded(6))
    assert equal(first, split.load(Draw(3, 1), seeded(5)))
    assert equal(first, other.load(Draw(3, 1), seeded(5)))
    assert not equal(first, split.load(Draw(3, 1), seeded(6)))


def test_a_sample_may_be_changed_without_changing_the_cache(opened: Opener) -> None:
    split = opened().splits["train"]
    first = split.load(Draw(0, 0), seeded(0))
    kept = first.image.copy()
    first.image[:] = 0
    np.testing.assert_array_equal(split.load(Draw(0, 0), seeded(0)).image, kept)


def test_each_picture_may_be_normalised_by_itself(opened: Opener, folder: Path) -> None:
    for name, split in opened(crop=None, mean=None, std=None).splits.items():
        sample = split.load(Draw(0, 0), seeded(0))
        image = file_of(folder, split.ids[0].split("@")[0], "images")
        assert sample.mean == pytest.approx([image.mean()] * 3), name
        assert sample.std == pytest.approx([image.std()] * 3), name


def test_a_picture_of_one_grey_is_normalised_to_nought(opened: Opener, folder: Path) -> None:
    for path in folder.rglob("images/**/*.*"):
        cv2.imwrite(str(path), np.full((40, 48, 3), 90, np.uint8))
    split = opened(mean=None, std=None, allow_leak=True).splits["train"]
    sample = split.load(Draw(0, 0), seeded(0))
    assert (sample.mean.tolist(), sample.std.tolist()) == ([90] * 3, [1] * 3)


def test_an_image_smaller_than_the_crop_is_padded_and_the_padding_ignored(opened: Opener) -> None:
    data = opened(crop=[44, 60])
    for split in data.splits.values():
        sample = split.load(Draw(0, 0), seeded(0))
        assert sample.image.shape == (3, 44, 60)
        assert (sample.target["mask"][40:] == 255).all()
        assert (sample.target["mask"][:, 48:] == 255).all()
        assert (sample.image[:, 40:] == 0).all()
        assert (sample.target["mask"][:40, :48] != 255).any()


def test_the_samplers_cut_is_carried_out(opened: Opener, folder: Path) -> None:
    data = opened(crop=[4, 4])
    split = data.splits["train"]
    mask = file_of(folder, split.ids[0], "masks")
    only = np.where(mask == 1, 2, 0).astype(np.uint8)
    only[3:] = 0
    cv2.imwrite(str(folder / split.ids[0].replace("images", "masks")), only)
    split = opened(crop=[4, 4], cache=False).splits["train"]
    for seed in range(20):
        sample = split.load(Draw(0, 0, CentredCut((1,), 1.0)), seeded(seed))
        assert (sample.target["mask"] == 1).any()


def test_a_cut_without_a_crop_is_the_recipes_fault(opened: Opener) -> None:
    split = opened(crop=None).splits["train"]
    assert split.load(Draw(0, 0), seeded(0)).image.shape == (3, 40, 48)
    with pytest.raises(RecipeError, match="data.params.crop: the sampler takes crops"):
        split.load(Draw(0, 0, CentredCut((1,), 1.0)), seeded(0))


def test_a_transform_that_changes_the_size_is_the_recipes_fault(opened: Opener) -> None:
    split = opened(crop=[8, 12], transforms=[{"name": "rotate90"}]).splits["train"]
    with pytest.raises(RecipeError, match="data.params.transforms: they turned 8x12"):
        for seed in range(20):
            split.load(Draw(0, 0), seeded(seed))


@pytest.mark.parametrize("crop", [[16, 16], [40, 48], [13, 50], None])
def test_every_validation_pixel_counts_exactly_once(
    opened: Opener, folder: Path, crop: list[int] | None
) -> None:
    split = opened(crop=crop, transforms=AUGMENTED).splits["val"]
    counted = np.zeros(256, int)
    for index in range(len(split)):
        mask = split.load(Draw(index, index), seeded(0)).target["mask"]
        counted += np.bincount(mask.ravel(), minlength=256)
    names = {name.split("@")[0] for name in split.ids}
    files = np.stack([file_of(folder, name, "masks") for name in names])
    np.testing.assert_array_equal(counted[:255], np.bincount(files.ravel(), minlength=256)[:255])


def test_tiles_show_the_image_at_its_scale(opened: Opener, folder: Path) -> None:
    split = opened().splits["val"]
    for index, name in enumerate(split.ids):
        file, corner = name.split("@")
        row, column = map(int, corner.split(","))
        part = file_of(folder, file)[row : row + 16, column : column + 16]
        image = split.load(Draw(index, index), seeded(0)).image
        np.testing.assert_array_equal(image, part.transpose(2, 0, 1))


def test_squashing_brings_the_whole_image_to_the_size_of_a_crop(
    opened: Opener, folder: Path
) -> None:
    split = opened(validation="squash").splits["val"]
    assert len(split) == len(split.ids) == len(split.is_labelled) == 3
    sample = split.load(Draw(0, 1), seeded(0))
    image = cv2.resize(file_of(folder, sample.id), (16, 16), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(sample.image, image.transpose(2, 0, 1))
    assert sample.target["mask"].shape == (16, 16)
    assert set(np.unique(sample.target["mask"])) <= {0, 1, 255}


def test_a_squashed_mask_lies_where_its_image_does(opened: Opener, folder: Path) -> None:
    rows, columns = np.mgrid[:320, :320]
    disc = (rows - 150) ** 2 + (columns - 170) ** 2 < 120**2
    for number, name in enumerate(sorted((folder / "images").iterdir())):
        image = np.where(disc, 255, number).astype(np.uint8)
        cv2.imwrite(str(name), image[..., None].repeat(3, 2))
        cv2.imwrite(str(folder / "masks" / name.name), np.where(disc, 2, 1).astype(np.uint8))
    split = opened(validation="squash").splits["val"]
    sample = split.load(Draw(0, 0), seeded(0))
    bright, masked = sample.image[0] > 127, sample.target["mask"] == sample.target["mask"][8, 8]
    assert (bright ^ masked).sum() <= 2, (bright.sum(), masked.sum())


def test_images_are_resized_before_they_are_cut(opened: Opener) -> None:
    data = opened(resize=[20, 24], crop=None)
    for split in data.splits.values():
        sample = split.load(Draw(0, 0), seeded(0))
        assert sample.image.shape == (3, 20, 24)
        assert set(np.unique(sample.target["mask"])) <= {0, 1, 255}
    assert len(opened(resize=[20, 24], crop=[10, 24]).splits["val"]) == 6


def test_the_measured_figures_travel_with_a_pickled_split(opened: Opener) -> None:
    data = opened()
    split = pickle.loads(pickle.dumps(data.splits["val"]))
    assert split.spec.measured["class_pixels"] == data.spec.measured["class_pixels"]
