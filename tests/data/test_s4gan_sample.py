from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runner.data.samples import sample_folder, write_sample
from runner.data.segmentation.classes import read_mapping
from runner.data.segmentation.masks import read_mask


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def listed(root: Path, name: str) -> list[str]:
    return (root / f"{name}.txt").read_text().splitlines()


def decoded(root: Path, names: list[str]) -> np.ndarray:
    classes = read_mapping(root / "class_mapping.csv", "rgb")
    return np.stack([read_mask(root / name.replace("images", "masks"), classes) for name in names])


def test_the_layout_is_that_of_the_salak_data(cache: Path) -> None:
    root = sample_folder("sample:s4gan", cache)
    folders = [f"salak-1-{number}" for number in range(1, 7)]
    assert [path.name for path in sorted(root.iterdir()) if path.is_dir()] == folders
    assert all((root / name / kind).is_dir() for name in folders for kind in ("images", "masks"))
    classes = read_mapping(root / "class_mapping.csv", "rgb")
    assert classes.classes == (
        "background", "Badan Air", "Bangunan", "Jalan", "Pohon Berinang", "Snake Fruit",
        "Tanah Terbuka",
    )  # fmt: skip
    colours = dict(zip(classes.targets, map(classes.describe, classes.sources), strict=True))
    assert [colours[index] for index in range(7)] == [
        "colour 0,0,0", "colour 255,50,50", "colour 255,225,50", "colour 109,255,50",
        "colour 50,255,167", "colour 50,167,255", "colour 109,50,255",
    ]  # fmt: skip


def test_lists_name_12_labelled_160_unlabelled_and_40_that_validate(cache: Path) -> None:
    root = sample_folder("sample:s4gan", cache)
    labelled, train, val = (listed(root, name) for name in ("train_labelled", "train", "val"))
    assert [len(labelled), len(train), len(val)] == [12, 172, 40]
    assert set(labelled) < set(train)
    everything = {path.relative_to(root).as_posix() for path in root.glob("*/images/*.png")}
    assert everything == {*train, *val}
    sources = [{name.split("_")[0] for name in names} for names in (train, val)]
    assert not set.intersection(*sources)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_rarest_class_has_its_share_in_every_kind(cache: Path, seed: int) -> None:
    root = sample_folder(f"sample:s4gan:{seed}", cache)
    for name in ("train_labelled", "train", "val"):
        masks = decoded(root, listed(root, name))
        shares = np.bincount(masks.ravel(), minlength=7) / masks.size
        assert shares[1] == pytest.approx(0.0139, abs=1e-4)
        assert shares.argmin() == 1
        assert shares.argmax() == 5
        assert shares.min() > 0


def test_haze_pulls_unlabelled_patches_towards_the_background(cache: Path) -> None:
    root = sample_folder("sample:s4gan", cache)
    labelled = listed(root, "train_labelled")
    kinds = {
        "labelled": labelled,
        "unlabelled": sorted({*listed(root, "train")} - {*labelled}),
        "val": listed(root, "val"),
    }
    distance = {}
    for kind, names in kinds.items():
        images = np.stack([cv2.imread(str(root / name)) for name in names])
        is_palm = decoded(root, names) == 5
        distance[kind] = np.abs(images[is_palm].mean(0) - 127.5).mean()
    # Of haze there is 0.075 on average in what is labelled, 0.375 in the rest.
    for kind in ("unlabelled", "val"):
        assert distance[kind] / distance["labelled"] == pytest.approx(0.625 / 0.925, abs=0.1)


def test_a_sample_is_a_function_of_its_seed(tmp_path: Path) -> None:
    def content(folder: Path, seed: int) -> dict[str, bytes]:
        write_sample("s4gan", folder, seed)
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    first = content(tmp_path / "a", 5)
    assert first == content(tmp_path / "b", 5)
    assert first != content(tmp_path / "c", 6)
