from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from runner.contracts import Data, DataContext
from runner.data.samples import SAMPLES, sample_folder, write_sample
from runner.errors import MachineError, RecipeError
from runner.registry import datasets


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def opened(root: str, cache: Path) -> Data:
    params = {
        "root": root,
        "images": "original_images/*.jpg",
        "masks": "label_images_semantic/{stem}.png",
        "mapping": "class_mapping.csv",
        "splits": {"fractions": {"train": 0.7, "val": 0.15, "test": 0.15}, "seed": 42},
        "crop": [64, 64],
    }
    context = DataContext(lambda root: sample_folder(root, cache), cache)
    return datasets.parse({"name": "segmentation_folder", "params": params}).build(context)


@pytest.mark.parametrize("root", ["sample:uav", "sample:uav:2", "sample:uav:3"])
def test_the_training_split_is_as_imbalanced_as_the_seeds(root: str, cache: Path) -> None:
    data = opened(root, cache)
    assert data.spec.classes == ("background", "safe", "caution", "danger")
    assert [len(split) for split in data.splits.values()] == [67, 15, 14]
    pixels = np.array(data.spec.measured["class_pixels"])
    np.testing.assert_allclose(100 * pixels / pixels.sum(), [0.28, 63.2, 18.8, 17.7], atol=0.05)


def test_background_is_blobs_of_two_by_two_pixels(cache: Path) -> None:
    for path in sorted((sample_folder("sample:uav", cache) / "label_images_semantic").iterdir()):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        background = np.isin(mask, (0, 23)).astype(np.uint8)
        count, _, blobs, _ = cv2.connectedComponentsWithStats(background, connectivity=8)
        assert 2 <= count - 1 <= 4
        assert (blobs[1:, cv2.CC_STAT_AREA] == 4).all()
        assert (blobs[1:, cv2.CC_STAT_WIDTH] == 2).all()


def test_the_files_are_those_of_the_semantic_drone_dataset(cache: Path) -> None:
    root = sample_folder("sample:uav", cache)
    assert sorted(path.name for path in root.iterdir()) == [
        "class_mapping.csv",
        "label_images_semantic",
        "original_images",
    ]
    assert len(list((root / "original_images").glob("*.jpg"))) == 96
    with open(root / "class_mapping.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["source_id"]) for row in rows] == list(range(24))
    targets: dict[str, list[int]] = {}
    for row in rows:
        targets.setdefault(row["target_name"], []).append(int(row["source_id"]))
    assert targets["background"] == [0, 23]
    assert targets["safe"] == [1, 2, 3, 4]
    assert targets["caution"] == [6, 8, 9, 21]
    ids = {
        int(each)
        for path in (root / "label_images_semantic").iterdir()
        for each in np.unique(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    }
    for name, members in targets.items():
        assert len(ids & set(members)) > 1, f"{name} is several ids"


def test_jpeg_leaves_the_blobs_their_colour(cache: Path) -> None:
    root = sample_folder("sample:uav", cache)
    blob, rest = [], []
    for path in (root / "original_images").iterdir():
        image = cv2.imread(str(path)).astype(float)
        mask = cv2.imread(str(root / "label_images_semantic" / f"{path.stem}.png"), -1)
        is_blob = np.isin(mask, (0, 23))
        blob.append(image[is_blob].mean(0))
        rest.append(image[~is_blob].mean(0))
    blue, green, red = np.mean(blob, 0) - np.mean(rest, 0)
    assert blue > 40 > -40 > green
    assert red > 40


def test_a_sample_is_a_function_of_its_seed(tmp_path: Path) -> None:
    def content(folder: Path, seed: int) -> dict[str, bytes]:
        write_sample("uav", folder, seed)
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    first = content(tmp_path / "a", 5)
    assert first == content(tmp_path / "b", 5)
    assert first != content(tmp_path / "c", 6)
    assert len(first) == 2 * 96 + 1


def test_a_sample_is_written_once(tmp_path: Path) -> None:
    folder = sample_folder("sample:uav", tmp_path)
    (folder / "mark").touch()
    assert sample_folder("sample:uav", tmp_path) == sample_folder("sample:uav:1", tmp_path)
    assert (folder / "mark").exists()
    assert sample_folder("sample:uav:7", tmp_path) != folder
    assert len(list((tmp_path / "samples").iterdir())) == 2


def test_another_source_of_a_generator_is_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SAMPLES["uav"]
    folder = sample_folder("sample:uav", tmp_path)
    monkeypatch.setitem(SAMPLES, "uav", lambda folder, seed: original(folder, seed))
    assert sample_folder("sample:uav", tmp_path) != folder


def test_an_interrupted_writing_leaves_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, seed: int) -> None:
        (folder / str(seed)).touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(SAMPLES, "uav", fail)
    with pytest.raises(MachineError, match="No space left"):
        sample_folder("sample:uav", tmp_path)
    assert not list((tmp_path / "samples").iterdir())


def test_the_process_that_comes_second_takes_the_firsts_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SAMPLES["uav"]
    calls = []

    def overtaken(folder: Path, seed: int) -> None:
        calls.append(seed)
        original(folder, seed)
        if len(calls) == 1:
            sample_folder("sample:uav", tmp_path)

    monkeypatch.setitem(SAMPLES, "uav", overtaken)
    folder = sample_folder("sample:uav", tmp_path)
    assert calls == [1, 1]
    assert list((tmp_path / "samples").iterdir()) == [folder]


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("sample:uva", "did you mean 'uav'"),
        ("sample:", "known here: .*uav"),
        ("sample:uav:x", "the seed must be a whole number"),
        ("sample:uav:", "the seed must be a whole number"),
        ("sample:uav:-1", "the seed must be a whole number"),
    ],
)
def test_a_wrong_sample_is_the_recipes_fault(tmp_path: Path, root: str, said: str) -> None:
    with pytest.raises(RecipeError, match=f"data.params.root: .*{said}"):
        sample_folder(root, tmp_path)


def test_a_used_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(RecipeError, match="holds files already"):
        write_sample("uav", tmp_path)
    with pytest.raises(MachineError, match="cannot be written"):
        write_sample("uav", tmp_path / "mine.txt")
