"""Aerial-like scenes in the Semantic Drone Dataset's layout, as imbalanced as the UAV seed's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

IMAGES = 96
EDGE_PX = 64

# Pixels of each target class in an image, of 64². Of background there are 2 to 4 blobs, 2.87 on
# average, which makes 0.28 %; all that is left is safe ground, 63.2 %.
CAUTION_PX = round(0.1883 * EDGE_PX**2)
DANGER_PX = round(0.1772 * EDGE_PX**2)
BLOB_COUNTS = (2, 3, 4)
BLOB_ODDS = (0.33, 0.47, 0.20)
BLOB_PX = 2

NOISE = 0.18
"""Standard deviation of the sensor's noise, of the range from black to white.

So strong that a blob of four pixels is found only by a network that looks for it.
"""

TARGETS = ("background", "safe", "caution", "danger")

# The data set's ids in order, with the index of the target class.
SURFACES = (
    ("unlabeled", 0), ("paved-area", 1), ("dirt", 1), ("grass", 1), ("gravel", 1), ("water", 3),
    ("rocks", 2), ("pool", 3), ("vegetation", 2), ("roof", 2), ("wall", 3), ("window", 3),
    ("door", 3), ("fence", 3), ("fence-pole", 3), ("person", 3), ("dog", 3), ("car", 3),
    ("bicycle", 3), ("tree", 3), ("bald-tree", 3), ("ar-marker", 2), ("obstacle", 3),
    ("conflicting", 0),
)  # fmt: skip

# Red, green, blue of the surfaces that are drawn: each near the colour of its class, so that
# the four classes differ by more than their members do.
COLOURS = {
    0: (0.95, 0.15, 0.90),
    1: (0.50, 0.49, 0.48),
    2: (0.49, 0.45, 0.39),
    3: (0.40, 0.50, 0.37),
    4: (0.54, 0.53, 0.50),
    6: (0.36, 0.52, 0.24),
    8: (0.22, 0.63, 0.20),
    9: (0.27, 0.60, 0.33),
    17: (0.74, 0.33, 0.20),
    19: (0.66, 0.39, 0.12),
    20: (0.70, 0.36, 0.18),
    22: (0.76, 0.30, 0.16),
    23: (0.90, 0.18, 0.84),
}


@dataclass(frozen=True)
class Shape:
    """Something that stands on the ground.

    Attributes:
        surface: its id.
        height: (H, W), largest in its middle and falling outward; the tallest shape is seen.
    """

    surface: int
    height: NDArray[np.float32]


def write(folder: Path, seed: int) -> None:
    """Write images, masks and the class mapping into an existing folder.

    Args:
        folder: to write into.
        seed: the files are a function of it.
    """
    for name in ("original_images", "label_images_semantic"):
        (folder / name).mkdir()
    rows = [f"{id},{name},{to},{TARGETS[to]}" for id, (name, to) in enumerate(SURFACES)]
    header = "source_id,source_name,target_id,target_name"
    (folder / "class_mapping.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    for number, source in enumerate(np.random.SeedSequence(seed).spawn(IMAGES)):
        generator = np.random.Generator(np.random.Philox(source))
        mask = draw_mask(generator)
        image = draw_image(mask, generator)[..., ::-1]
        _save(folder / "original_images" / f"{number:03}.jpg", image, _FINE_JPEG)
        _save(folder / "label_images_semantic" / f"{number:03}.png", mask, ())


# Colour at half the resolution would smear a blob of 2×2 pixels into its surroundings.
_FINE_JPEG = (
    *(cv2.IMWRITE_JPEG_QUALITY, 98),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)


def draw_mask(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return one scene as (64, 64) uint8 ids of the data set."""
    mask = _ground(generator)
    blobs = _blobs(generator)
    is_free = blobs == 0
    roofs = [_roof(generator, surface) for surface in (9, 9, 9)]
    bushes = [_crown(generator, surface, (3.0, 6.0)) for surface in (8, 8, 8, 6, 6)]
    trees = [_crown(generator, surface, (5.0, 11.0)) for surface in (19, 19, 19, 20)]
    cars = [_roof(generator, surface, (3.0, 2.0)) for surface in (17, 17, 22)]
    # Danger first: what stands on or over caution is seen from above.
    for shapes, pixels in (([*trees, *cars], DANGER_PX), ([*roofs, *bushes], CAUTION_PX)):
        heights = np.stack([shape.height for shape in shapes])
        surfaces = np.asarray([shape.surface for shape in shapes], np.uint8)
        tallest = np.where(is_free, heights.max(0), -np.inf)
        # The share of each class is exact, so that every split of the sample has it.
        seen = np.unravel_index(np.argsort(tallest, axis=None, kind="stable")[-pixels:], mask.shape)
        mask[seen] = surfaces[heights.argmax(0)[seen]]
        is_free[seen] = False
    return np.where(blobs == 0, mask, blobs - 1).astype(np.uint8)


def draw_image(mask: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return what a camera sees of a scene: (64, 64, 3) uint8, red first."""
    colours = np.zeros((len(SURFACES), 3))
    colours[list(COLOURS)] = list(COLOURS.values())
    light = 1 + 0.06 * _smooth(generator, 10.0) + 0.05 * _smooth(generator, 1.2)
    # Blobs shine: what light and shadow do to them would decide whether they are seen at all.
    light[np.isin(mask, (0, 23))] = 1
    image = colours[mask] * light[..., None] + generator.normal(0, NOISE, (*mask.shape, 3))
    return np.asarray((image.clip(0, 1) * 255).round(), np.uint8)


def _ground(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return grass with patches of dirt and gravel, and a paved way across."""
    patches = _smooth(generator, 6.0)
    ground = np.select([patches > 1.3, patches < -1.5], [2, 4], 3)
    along, across = _turned(generator, generator.uniform(20, 44, 2))
    bend = 4 * np.sin(along / 12 + generator.uniform(0, 6))
    return np.where(np.abs(across + bend) < generator.uniform(4, 7), 1, ground).astype(np.uint8)


def _blobs(generator: np.random.Generator) -> NDArray[np.int64]:
    """Return id + 1 of the blobs and 0 elsewhere; no two blobs touch."""
    blobs = np.zeros((EDGE_PX, EDGE_PX), np.int64)
    missing = generator.choice(BLOB_COUNTS, p=BLOB_ODDS)
    while missing:
        row, column = generator.integers(1, EDGE_PX - BLOB_PX - 1, 2)
        around = slice(row - 1, row + BLOB_PX + 1), slice(column - 1, column + BLOB_PX + 1)
        if not blobs[around].any():
            blobs[row : row + BLOB_PX, column : column + BLOB_PX] = 1 + generator.choice((0, 23))
            missing -= 1
    return blobs


def _roof(
    generator: np.random.Generator, surface: int, half_edges: tuple[float, float] = (11.0, 7.0)
) -> Shape:
    """Return a turned rectangle of about the given half edge lengths, in pixels."""
    along, across = _turned(generator, generator.uniform(4, EDGE_PX - 4, 2))
    length, width = np.asarray(half_edges) * generator.uniform(0.7, 1.2, 2)
    height = np.minimum(1 - np.abs(along) / length, 1 - np.abs(across) / width)
    return Shape(surface, height.astype(np.float32))


def _crown(generator: np.random.Generator, surface: int, radii_px: tuple[float, float]) -> Shape:
    """Return a ragged disc."""
    along, across = _turned(generator, generator.uniform(0, EDGE_PX, 2))
    height = 1 - np.hypot(along, across) / generator.uniform(*radii_px)
    return Shape(surface, (height + 0.12 * _smooth(generator, 1.5)).astype(np.float32))


def _turned(
    generator: np.random.Generator, middle: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each pixel's coordinates, in pixels, in a frame about ``middle`` at a random angle."""
    rows, columns = np.mgrid[:EDGE_PX, :EDGE_PX] - middle[:, None, None]
    angle = generator.uniform(0, np.pi)
    return (
        rows * np.cos(angle) + columns * np.sin(angle),
        columns * np.cos(angle) - rows * np.sin(angle),
    )


def _smooth(generator: np.random.Generator, sigma_px: float) -> NDArray[np.float64]:
    """Return Gaussian noise, blurred, of mean 0 and standard deviation 1."""
    white = generator.standard_normal((EDGE_PX, EDGE_PX))
    field = cv2.GaussianBlur(white, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray((field - field.mean()) / field.std())


def _save(path: Path, image: NDArray[np.uint8], how: tuple[int, ...]) -> None:
    done, content = cv2.imencode(path.suffix, image, how)
    assert done, f"cv2 writes {path.suffix}"
    path.write_bytes(content.tobytes())
