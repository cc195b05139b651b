from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from runner.contracts import Data, DataContext, Draw, Sample
from runner.data.volumes import store as volumes_store
from runner.data.volumes.patches import AroundForegroundCut
from runner.errors import DataError, RecipeError
from runner.registry import datasets

Opener = Callable[..., Data]
SHAPE = (12, 20, 16)
ALL_TRANSFORMS = [
    {"name": "flip_volume"}, {"name": "rotate90_volume"}, {"name": "intensity"},
    {"name": "noise_volume"},
]  # fmt: skip


def seeded(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight LZW volumes of two scrolls, of 12x20x16 voxels with the labels 0, 1 and 2."""
    root, random, rows = tmp_path / "root", np.random.default_rng(0), ["id,scroll_id"]
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for number in range(8):
        rows.append(f"{number},{number // 4}")
        for name, highest in (("images", 256), ("labels", 3)):
            volume = random.integers(0, highest, SHAPE).astype(np.uint8)
            save(root / name / f"{number}.tif", volume)
    (root / "train.csv").write_text("\n".join(rows))
    return root


def save(path: Path, volume: np.ndarray) -> None:
    tifffile.imwrite(path, volume, compression="lzw", metadata=None)


def array(folder: Path, name: str, kind: str = "images") -> np.ndarray:
    return np.asarray(tifffile.imread(folder / name.split("@")[0].replace("images", kind)))


def classes(folder: Path, name: str) -> np.ndarray:
    return np.array([0, 1, 255], np.uint8)[array(folder, name, "labels")]


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> Opener:
    """Open the folder as a recipe would, with some parameters changed."""

    def open_with(**changed: Any) -> Data:
        params = {
            "root": str(folder),
            "images": "images/*.tif",
            "labels": "labels/{stem}.tif",
            "ignore_label": 2,
            "splits": {"fractions": {"train": 0.75, "val": 0.25}, "seed": 1},
            "patch": [8, 8, 8],
            **changed,
        }
        context = DataContext(Path, tmp_path / "cache")
        return datasets.parse({"name": "volumes", "params": params}).build(context)

    return open_with


def equal(first: Sample, second: Sample) -> bool:
    masks = first.target["mask"], second.target["mask"]
    return np.array_equal(first.image, second.image) and np.array_equal(*masks)


def test_a_patch_is_a_part_of_the_file_with_its_mask(opened: Opener, folder: Path) -> None:
    data = opened()
    assert (data.spec.dimensions, data.spec.channels) == (3, 1)
    assert data.spec.classes == ("background", "surface")
    split = data.splits["train"]
    sample = split.load(Draw(0, 2, lambda *_: (1, 9, 3)), seeded(0))
    part = slice(1, 9), slice(9, 17), slice(3, 11)
    assert sample.id == split.ids[2]
    assert sample.image.dtype == sample.target["mask"].dtype == np.uint8
    assert sample.image.flags.c_contiguous
    np.testing.assert_array_equal(sample.image[0], array(folder, sample.id)[part])
    np.testing.assert_array_equal(sample.target["mask"], classes(folder, sample.id)[part])
    whole = array(folder, sample.id)
    np.testing.assert_allclose(sample.mean, [whole.mean()], rtol=1e-6)
    np.testing.assert_allclose(sample.std, [whole.std()], rtol=1e-6)
    assert sample.mean.dtype == sample.std.dtype == np.float32


@pytest.mark.parametrize("kind", ["npy", "plain", "nii.gz"])
def test_every_format_gives_the_patch_of_the_array(opened: Opener, folder: Path, kind: str) -> None:
    import nibabel

    draw = Draw(0, 2, lambda *_: (1, 9, 3))
    wanted = opened().splits["train"].load(draw, seeded(0))
    for path in [*folder.rglob("*.tif")]:
        volume = tifffile.imread(path)
        path.unlink()
        if kind == "npy":
            np.save(path.with_suffix(".npy"), volume)
        elif kind == "plain":
            tifffile.imwrite(path, volume, metadata=None)
        else:
            nibabel.save(
                nibabel.Nifti1Image(volume.transpose(), np.eye(4)), path.with_suffix(".nii.gz")
            )
    suffix = "tif" if kind == "plain" else kind
    data = opened(images=f"images/*.{suffix}", labels=f"labels/{{stem}}.{suffix}")
    assert equal(data.splits["train"].load(draw, seeded(0)), wanted)


@pytest.mark.parametrize("transforms", [[], ALL_TRANSFORMS])
def test_a_sample_is_a_function_of_draw_and_generator(
    opened: Opener, transforms: list[dict[str, str]]
) -> None:
    split = opened(transforms=transforms).splits["train"]
    other = pickle.loads(pickle.dumps(split))
    first = split.load(Draw(3, 1), seeded(5))
    assert equal(first, split.load(Draw(3, 1), seeded(5)))
    assert equal(first, other.load(Draw(3, 1), seeded(5)))
    assert not equal(first, split.load(Draw(3, 1), seeded(6)))
    first.image[:] = 0
    assert not equal(first, split.load(Draw(3, 1), seeded(5))), "the cache is as it was"


@pytest.mark.parametrize("patch", [[8, 8, 8], [12, 20, 16], [5, 7, 6], [16, 8, 24]])
def test_every_validation_voxel_counts_exactly_once(
    opened: Opener, folder: Path, patch: list[int]
) -> None:
    split = opened(patch=patch, transforms=ALL_TRANSFORMS).splits["val"]
    counted = np.zeros(256, int)
    for index, name in enumerate(split.ids):
        sample = split.load(Draw(index, index), seeded(0))
        counted += np.bincount(sample.target["mask"].ravel(), minlength=256)
        corner = [int(each) for each in name.split("@")[1].split(",")]
        part = array(folder, name)[tuple(map(slice, corner, np.add(corner, patch)))]
        inner = tuple(map(slice, part.shape))
        np.testing.assert_array_equal(sample.image[0][inner], part)
    names = {name.split("@")[0] for name in split.ids}
    whole = np.bincount(np.stack([classes(folder, each) for each in names]).ravel())
    np.testing.assert_array_equal(counted[:2], whole[:2])


def test_whole_volumes_are_loaded_one_by_one(opened: Opener, folder: Path) -> None:
    split = opened(validation="volumes").splits["val"]
    assert len(split) == len(split.ids) == len(split.is_labelled) == 2
    assert split.largest_batch == 1  # type: ignore[attr-defined]
    sample = split.load(Draw(0, 1), seeded(0))
    np.testing.assert_array_equal(sample.image[0], array(folder, sample.id))
    np.testing.assert_array_equal(sample.target["mask"], classes(folder, sample.id))


@pytest.mark.parametrize("normalise", ["zscore", "none"])
def test_a_volume_smaller_than_the_patch_is_padded_with_what_becomes_zero(
    opened: Opener, normalise: str
) -> None:
    data = opened(patch=[16, 8, 24], normalise=normalise)
    for split in data.splits.values():
        sample = split.load(Draw(0, 0), seeded(0))
        assert sample.image.shape == (1, 16, 8, 24)
        padding = sample.image[0, 12:].astype(float)
        assert np.abs((padding - sample.mean) / sample.std).max() < 0.01
        assert (sample.target["mask"][12:] == 255).all()
        assert (sample.target["mask"][:, :, 16:] == 255).all()
        assert (sample.target["mask"][:12, :, :16] != 255).any()


def test_what_lies_beyond_the_percentiles_is_cut_off(opened: Opener, folder: Path) -> None:
    data = opened(normalise="percentile", percentiles=[10.0, 90.0])
    sample = data.splits["train"].load(Draw(0, 0), seeded(0))
    low, high = np.percentile(array(folder, sample.id), [10, 90], method="inverted_cdf")
    assert (sample.image.min(), sample.image.max()) == (low, high)
    normalised = (sample.image - sample.mean) / sample.std
    assert (normalised.min(), normalised.max()) == (0, 1)


def test_the_policy_changes_the_voxels_of_the_classes(opened: Opener, folder: Path) -> None:
    counts = {
        policy: opened(label_policy=policy).spec.measured["class_pixels"]
        for policy in ("ignore", "merge_ignore")
    }
    train = opened().splits["train"].ids
    zero, one, two = np.bincount(
        np.stack([array(folder, name, "labels") for name in train]).ravel()
    )
    assert counts == {"ignore": (zero, one), "merge_ignore": (zero, one + two)}
    prints = {opened(label_policy=policy).fingerprint for policy in counts}
    assert len(prints) == 2


def test_the_split_of_a_volume_goes_by_its_slices(opened: Opener, folder: Path) -> None:
    data = opened(
        images="images/3.tif", patch=[4, 8, 8],
        splits={"z_ranges": {"train": [0, 6], "val": [6, 12]}},
    )  # fmt: skip
    volume, label = array(folder, "images/3.tif"), classes(folder, "images/3.tif")
    first = {
        tuple(data.splits["train"].load(Draw(0, 0), seeded(seed)).image[0, :, 0, 0])
        for seed in range(200)
    }
    inside = {tuple(volume[z : z + 4, y, x]) for z in range(3) for y in range(13) for x in range(9)}
    assert first <= inside
    val = data.splits["val"]
    assert val.ids[0] == "images/3.tif@6,0,0"
    sample = val.load(Draw(0, 0), seeded(0))
    np.testing.assert_array_equal(sample.image[0], volume[6:10, :8, :8])
    pixels = data.spec.measured["class_pixels"]
    assert pixels == tuple(np.bincount(label[:6].ravel(), minlength=256)[:2])
    with pytest.raises(DataError, match=r"3.tif: has 12 slices; correct .*z_ranges.val: \[6, 13\]"):
        opened(images="images/3.tif", splits={"z_ranges": {"train": [0, 6], "val": [6, 13]}})


def test_groups_stay_together(opened: Opener) -> None:
    data = opened(
        splits={
            "fractions": {"train": 0.5, "val": 0.5}, "seed": 3,
            "groups": {"file": "train.csv", "column": "scroll_id"},
        },
        validation="volumes",
    )  # fmt: skip
    scrolls = [{int(Path(name).stem) // 4 for name in split.ids} for split in data.splits.values()]
    assert sorted(map(sorted, scrolls)) == [[0], [1]]


def test_of_many_volumes_that_are_unpacked_some_are_told(
    opened: Opener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(volumes_store, "_TOLD", 3)
    caplog.set_level(logging.INFO, logger="runner.data")
    opened()
    assert [each.split()[2] for each in caplog.messages] == ["1", "3", "6", "8"]


def test_volumes_are_unpacked_once(
    opened: Opener, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="runner.data")
    data = opened()
    first, *_, last = caplog.messages
    assert (first, last) == (
        "unpacking volume 1 of 8: images/0.tif", "unpacking volume 8 of 8: images/7.tif"
    ) or len(caplog.messages) == 8  # fmt: skip
    caplog.clear()
    split = opened().splits["train"]
    assert caplog.messages == []
    before = split.load(Draw(0, 0), seeded(0))
    for path in (tmp_path / "cache").rglob("*.npy"):
        path.unlink()
    assert equal(before, split.load(Draw(0, 0), seeded(0))), "the cache may be deleted"
    save(folder / split.ids[0], np.zeros(SHAPE, np.uint8))
    assert opened().splits["train"].load(Draw(0, 0), seeded(0)).image.max() == 0
    assert data.fingerprint != opened().fingerprint


def test_another_policy_does_not_unpack_images_again(opened: Opener, tmp_path: Path) -> None:
    opened()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.npy")}
    assert len(before) == 5 * 8
    opened(label_policy="merge_ignore")
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.npy")}
    assert len(after) == 6 * 8
    assert before.items() <= after.items()


def test_everything_wrong_with_the_files_is_told_together(opened: Opener, folder: Path) -> None:
    (folder / "labels" / "0.tif").unlink()
    save(folder / "labels" / "1.tif", np.zeros((12, 20, 17), np.uint8))
    save(folder / "images" / "2.tif", np.zeros((20, 16), np.uint8))
    content = (folder / "images" / "3.tif").read_bytes()
    (folder / "images" / "3.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError) as raised:
        opened()
    said = str(raised.value)
    assert len(raised.value.problems) == 4
    assert "0.tif: has no label: labels/0.tif does not exist" in said
    assert "1.tif: is 12x20x16 voxels (depth x height x width), its label labels/1.tif 12" in said
    assert "2.tif: has 2 dimensions (20x16)" in said
    assert "3.tif: is truncated or damaged" in said
    assert raised.value.exit_code == 3


def test_every_label_is_checked_before_the_training(opened: Opener, folder: Path) -> None:
    for number, wrong in ((1, 7), (6, 9)):
        label = array(folder, f"images/{number}.tif", "labels").copy()
        label[0, 0, :3] = wrong
        save(folder / "labels" / f"{number}.tif", label)
    with pytest.raises(DataError) as raised:
        opened()
    first, second = sorted(map(str, raised.value.problems))
    assert "labels/1.tif: label 7 on 3 voxels is none of 0, 1, 2" in first
    assert "labels/6.tif: label 9 on 3 voxels" in second


def test_a_label_that_all_volumes_hold_is_told_once(opened: Opener) -> None:
    with pytest.raises(DataError) as raised:
        opened(ignore_label=None)
    [problem] = raised.value.problems
    assert problem.place.endswith("labels/0.tif")
    assert "label 2 is none of 0, 1:" in problem.message and "in 8 volumes" in problem.message


def test_a_volume_in_two_splits_is_refused(opened: Opener, folder: Path) -> None:
    for split, names in (("train", "0 1 2 3"), ("val", "3 4")):
        (folder / f"{split}.txt").write_text("\n".join(names.split()))
    lists = {"lists": {"train": "train.txt", "val": "val.txt"}}
    with pytest.raises(DataError, match="3.tif: of the split 'val' is the same image"):
        opened(splits=lists)
    assert len(opened(splits=lists, allow_leak=True).splits["train"]) == 4
    (folder / "val.txt").write_text("4\n5")
    assert len(opened(splits=lists).splits["train"]) == 4
    copied = (folder / "images" / "0.tif").read_bytes()
    (folder / "images" / "5.tif").write_bytes(copied)
    with pytest.raises(DataError, match="5.tif: of the split 'val' has the content of"):
        opened(splits=lists)


def test_values_that_contradict_each_other_are_told_together(opened: Opener) -> None:
    with pytest.raises(RecipeError) as raised:
        opened(
            percentiles=[1.0, 99.0], labels="{split}/x.tif", label_policy="merge_ignore",
            ignore_label=None, transforms=[{"name": "flip_volume"}, {"name": "flip"}],
            splits={"lists": {"train": "/etc/passwd", "val": "../x"}},
        )  # fmt: skip
    keys = [each.key.removeprefix("data.params.") for each in raised.value.problems]
    assert keys == [
        "labels", "labels", "label_policy", "percentiles", "transforms.1", "splits", "splits",
    ]  # fmt: skip
    with pytest.raises(RecipeError, match="data.params.percentiles"):
        opened(normalise="percentile")


def test_a_turn_that_changes_the_shape_is_the_recipes_fault(opened: Opener) -> None:
    split = opened(patch=[8, 8, 12], transforms=[{"name": "rotate90_volume"}]).splits["train"]
    with pytest.raises(RecipeError, match="data.params.transforms: they turned 8x8x12 .* 8x12x8"):
        for seed in range(20):
            split.load(Draw(0, 0), seeded(seed))


def test_the_samplers_cut_is_carried_out(opened: Opener, folder: Path) -> None:
    label = np.zeros(SHAPE, np.uint8)
    label[3, 4, 5] = 1
    for path in (folder / "labels").iterdir():
        save(path, label)
    split = opened(patch=[4, 4, 4]).splits["train"]
    for seed in range(10):
        sample = split.load(Draw(0, 0, AroundForegroundCut(2000)), seeded(seed))
        assert (sample.target["mask"] == 1).sum() == 1


def test_a_real_folder_of_nifti_volumes_is_read(tmp_path: Path) -> None:
    root = Path(__file__).parents[2] / "../shared/data/hippocampus"
    if not root.is_dir():
        pytest.skip("the hippocampus volumes are not here")
    params = {
        "root": str(root), "images": "images/hippocampus_0*.nii.gz",
        "labels": "labels/{stem}.nii.gz", "foreground": [1, 2],
        "classes": ["background", "hippocampus"], "validation": "volumes",
        "splits": {"folds": {"count": 5, "fold": 0}, "seed": 0}, "patch": [32, 48, 32],
    }  # fmt: skip
    data = datasets.parse({"name": "volumes", "params": params}).build(DataContext(Path, tmp_path))
    pixels = np.array(data.spec.measured["class_pixels"])
    assert pixels[1] / pixels.sum() == pytest.approx(0.0525, abs=0.01)
    for index in range(0, len(data.splits["train"]), 5):
        sample = data.splits["train"].load(Draw(index, index), seeded(index))
        assert sample.image.shape == (1, 32, 48, 32)
        assert abs(float(((sample.image - sample.mean) / sample.std).mean())) < 1
