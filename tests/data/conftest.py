"""Small real folders of images and masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from runner.contracts import Data, DataContext
from runner.registry import datasets

Opener = Callable[..., Data]


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.Generator(np.random.Philox(0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images of 40x48 pixels with masks of the ids 0 to 2 and a mapping of them."""
    root = tmp_path / "root"
    random = np.random.default_rng(0)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(10):
        image = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        cv2.imwrite(str(root / "images" / f"{number}.png"), image)
        mask = random.integers(0, 3, (40, 48), dtype=np.uint8)
        cv2.imwrite(str(root / "masks" / f"{number}.png"), mask)
    (root / "map.csv").write_text(
        "source_id,source_name,target_id,target_name\n0,void,255,\n1,road,0,safe\n2,car,1,danger\n"
    )
    return root


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> Opener:
    """Open the folder as a recipe would, with some parameters changed."""

    def open_with(**changed: Any) -> Data:
        params = {
            "root": str(folder),
            "images": "images/*.png",
            "masks": "masks/{stem}.png",
            "mapping": "map.csv",
            "splits": {"fractions": {"train": 0.7, "val": 0.3}, "seed": 1},
            "crop": [16, 16],
            **changed,
        }
        context = DataContext(Path, tmp_path / "cache")
        block = {"name": "segmentation_folder", "params": params}
        return datasets.parse(block).build(context)

    return open_with
