from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runner.contracts import Data, DataContext
from runner.data.samples import sample_folder, write_sample
from runner.registry import datasets


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def opened(root: str, cache: Path) -> Data:
    params = {
        "root": root, "format": "yolo", "images": "images/{split}/*.jpg",
        "annotations": "labels/{split}/{stem}.txt", "classes": ["cow", "dog"],
        "splits": {"folders": {"train": "train", "val": "val"}}, "size": [128, 128],
        "faulty": "refuse",
    }  # fmt: skip
    context = DataContext(lambda root: sample_folder(root, cache), cache)
    return datasets.parse({"name": "boxes", "params": params}).build(context)


@pytest.mark.parametrize("root", ["sample:yolov8", "sample:yolov8:2", "sample:yolov8:3"])
def test_cows_are_ten_times_as_many_and_no_box_is_faulty(root: str, cache: Path) -> None:
    data = opened(root, cache)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 128, "val": 64}
    for split in data.splits.values():
        boxes = [picture.boxes for picture in split.pictures]
        kinds = np.concatenate(boxes)[:, 4]
        assert 9 < (kinds == 0).sum() / (kinds == 1).sum() <= 10
        assert {len(each) for each in boxes} == {1, 2, 3}
        edges = np.concatenate(boxes)[:, 2:4] - np.concatenate(boxes)[:, :2]
        assert edges.min() > 19.99 and edges.max() < 48


def test_the_layout_is_yolos(cache: Path) -> None:
    root = sample_folder("sample:yolov8", cache)
    assert (root / "classes.txt").read_text().split() == ["cow", "dog"]
    for split, count in (("train", 128), ("val", 64)):
        images = sorted((root / "images" / split).glob("*.jpg"))
        labels = sorted((root / "labels" / split).glob("*.txt"))
        assert len(images) == count
        assert [path.stem for path in images] == [path.stem for path in labels]
    assert cv2.imread(str(images[0])).shape == (128, 128, 3)


def test_an_animal_reaches_every_edge_of_its_box(cache: Path) -> None:
    """What a detector is scored by is what can be seen."""
    data = opened("sample:yolov8", cache)
    gaps = []
    for picture in data.splits["val"].pictures[:20]:
        image = cv2.imread(picture.image.path).astype(float)
        is_grass = image[..., 1] > np.maximum(image[..., 0], image[..., 2]) * 1.1
        for x1, y1, x2, y2 in picture.boxes[:, :4].round().astype(int):
            inner = ~is_grass[y1:y2, x1:x2]
            rows, columns = inner.mean(1) > 0.12, inner.mean(0) > 0.12
            gaps += [rows.argmax(), rows[::-1].argmax(), columns.argmax(), columns[::-1].argmax()]
    assert np.mean(gaps) < 1.5


def test_equal_seeds_give_equal_files(tmp_path: Path) -> None:
    def content(folder: Path, seed: int) -> dict[str, bytes]:
        write_sample("yolov8", folder, seed)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    first = content(tmp_path / "a", 5)
    assert first == content(tmp_path / "b", 5)
    assert first != content(tmp_path / "c", 6)
    assert len(first) == 2 * (128 + 64) + 1
