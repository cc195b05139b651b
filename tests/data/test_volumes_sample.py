from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile

from runner.contracts import Data, DataContext
from runner.data.samples import sample_folder, write_sample
from runner.registry import datasets


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def opened(root: str, cache: Path, policy: str = "ignore") -> Data:
    params = {
        "root": root,
        "images": "train_images/*.tif",
        "labels": "train_labels/{stem}.tif",
        "label_policy": policy,
        "ignore_label": 2,
        "splits": {
            "fractions": {"train": 0.75, "val": 0.25},
            "seed": 42,
            "groups": {"file": "train.csv", "column": "scroll_id"},
        },
        "patch": [32, 32, 32],
    }
    context = DataContext(lambda root: sample_folder(root, cache), cache)
    return datasets.parse({"name": "volumes", "params": params}).build(context)


@pytest.mark.parametrize("root", ["sample:vesuvius", "sample:vesuvius:2", "sample:vesuvius:3"])
def test_more_than_half_is_unlabelled_and_merging_hides_the_surface(root: str, cache: Path) -> None:
    data = opened(root, cache)
    assert [len(split) for split in data.splits.values()] == [24, 8]
    voxels = 24 * 32**3
    ignored, merged = (
        np.array(opened(root, cache, policy).spec.measured["class_pixels"])
        for policy in ("ignore", "merge_ignore")
    )
    assert 1 - ignored.sum() / voxels == pytest.approx(0.53, abs=0.001)
    assert ignored[1] / voxels == pytest.approx(0.063, abs=0.01)
    assert merged[1] / voxels == pytest.approx(0.59, abs=0.01)


def test_the_files_are_those_of_the_competition(cache: Path) -> None:
    root = sample_folder("sample:vesuvius", cache)
    names = ["train.csv", "train_images", "train_labels"]
    assert sorted(path.name for path in root.iterdir()) == names
    with open(root / "train.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["scroll_id"] for row in rows}) == 4
    for row in rows:
        image, label = (
            root / f"train_{kind}" / f"{row['id']}.tif" for kind in ("images", "labels")
        )
        with tifffile.TiffFile(image) as file:
            assert file.pages[0].compression == tifffile.COMPRESSION.LZW
        assert set(np.unique(tifffile.imread(label))) == {0, 1, 2}
        volume = tifffile.imread(image)
        assert (volume.shape, volume.dtype) == ((32, 32, 32), np.uint8)


def test_the_surface_is_thin_and_not_all_of_what_is_bright(cache: Path) -> None:
    root = sample_folder("sample:vesuvius", cache)
    for path in sorted((root / "train_labels").iterdir())[::6]:
        label, image = tifffile.imread(path), tifffile.imread(root / "train_images" / path.name)
        # Along depth a sheet's surface is one or two voxels; more only where it runs along it.
        runs = np.diff(np.pad(label == 1, ((1, 1), (0, 0), (0, 0))).astype(int), axis=0)
        thickness = (label == 1).sum() / (runs == 1).sum()
        assert 1 <= thickness < 1.6
        is_bright = image > 128
        assert is_bright[label == 1].mean() > 0.75
        assert 0.1 < is_bright[label == 0].mean() < 0.45


def test_a_sample_is_a_function_of_its_seed(tmp_path: Path) -> None:
    def content(folder: Path, seed: int) -> dict[str, bytes]:
        write_sample("vesuvius", folder, seed)
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    first = content(tmp_path / "a", 5)
    assert first == content(tmp_path / "b", 5)
    assert first != content(tmp_path / "c", 6)
    assert len(first) == 2 * 32 + 1
