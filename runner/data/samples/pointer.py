"""Scenes of small markers to be pointed at row by row, in the layout of FSC-147."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

EDGE_PX = 64
SPLITS = {"train": 160, "val": 48, "test": 24}

GRID = 8
"""Cells along an edge, of which each holds one object at most: none hides another."""

OBJECT_PX = 4
FEWEST, MOST = 5, 50
SHAPE, SCALE = 2.0, 8.5
"""Objects of an image: the fewest plus a gamma-distributed number, 21 on average."""

GROUND, OBJECT = (0.10, 0.10, 0.10), (0.90, 0.20, 0.20)
NOISE = 0.05
"""Standard deviation of the sensor's noise, of the range from black to white."""


def write(folder: Path, seed: int) -> None:
    """Write images, points and splits into an existing folder, as FSC-147 does.

    Args:
        folder: to write into.
        seed: the files are a function of it.
    """
    (folder / "images_384_VarV2").mkdir()
    annotations: dict[str, dict[str, list[list[float]]]] = {}
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    names = [split for split, images in SPLITS.items() for _ in range(images)]
    sources = np.random.SeedSequence(seed).spawn(len(names))
    for number, (split, source) in enumerate(zip(names, sources, strict=True)):
        generator = np.random.Generator(np.random.Philox(source))
        points = draw_points(generator)
        name = f"{number}.jpg"
        _save(folder / "images_384_VarV2" / name, draw_image(points, generator))
        annotations[name] = {"points": points.tolist()}
        splits[split].append(name)
    for file, content in (
        ("annotation_FSC147_384.json", annotations),
        ("Train_Test_Val_FSC_147.json", splits),
    ):
        (folder / file).write_text(json.dumps(content), encoding="utf-8")


def draw_points(generator: np.random.Generator) -> NDArray[np.float64]:
    """Return the middles of a scene's objects, (N, 2), x and y in pixels."""
    beyond = generator.gamma(SHAPE, SCALE)
    objects = int(np.clip(FEWEST + beyond, FEWEST, MOST))
    cells = generator.permutation(GRID**2)[:objects]
    cell_px = EDGE_PX // GRID
    corners = cell_px * np.stack([cells % GRID, cells // GRID], 1)
    half = OBJECT_PX // 2
    return np.asarray(corners + generator.integers(half, cell_px - half + 1, (objects, 2)), float)


def draw_image(points: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return what a camera sees of the objects: (64, 64, 3) uint8, red first."""
    image = np.empty((EDGE_PX, EDGE_PX, 3))
    image[:] = GROUND
    half = OBJECT_PX // 2
    for x, y in points.astype(int):
        image[y - half : y + half, x - half : x + half] = OBJECT
    image += generator.normal(0, NOISE, image.shape)
    return np.asarray((image.clip(0, 1) * 255).round(), np.uint8)


def _save(path: Path, image: NDArray[np.uint8]) -> None:
    # Colour at half the resolution would smear an object into its surroundings.
    how = (
        *(cv2.IMWRITE_JPEG_QUALITY, 95),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    )
    done, content = cv2.imencode(path.suffix, image[..., ::-1], how)
    assert done, f"cv2 writes {path.suffix}"
    path.write_bytes(content.tobytes())
