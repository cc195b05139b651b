"""Pastures with cows and, ten times rarer, dogs, as YOLO text: what the cattle data look like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

EDGE_PX = 128
IMAGES = {"train": 128, "val": 64}
ANIMALS = (1, 2, 3)
"""In an image; each number in a third of the images."""

ONE_IN = 11
"""Animals, of which one is a dog: 10 to 1."""

CLASSES = ("cow", "dog")
BOX_PX = (20, 48)
"""Shortest and longest edge of a box."""

NOISE = 0.10
"""Standard deviation of the sensor's noise, of the range from black to white."""

# Red, green, blue of an animal's coat and of its patches. No dog is blue; but a few pixels of a
# rare class must be told from the common one within a short training.
COATS = (((0.52, 0.30, 0.16), (0.92, 0.90, 0.86)), ((0.10, 0.13, 0.45), (0.30, 0.38, 0.80)))
GRASS = (0.36, 0.46, 0.26)


def write(folder: Path, seed: int) -> None:
    """Write images, label files and the list of classes into an existing folder.

    Args:
        folder: to write into.
        seed: the files are a function of it.
    """
    (folder / "classes.txt").write_text("\n".join([*CLASSES, ""]), encoding="utf-8")
    sources = iter(np.random.SeedSequence(seed).spawn(len(IMAGES) + sum(IMAGES.values())))
    number = 0
    for split, count in IMAGES.items():
        kinds = _kinds(count, _generator(next(sources)))
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for _ in range(count):
            number += 1
            image, boxes, own = draw_image(next(kinds), _generator(next(sources)))
            done, content = cv2.imencode(".jpg", image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 95))
            assert done, "cv2 writes JPEG"
            (folder / "images" / split / f"pasture_{number:03}.jpg").write_bytes(content.tobytes())
            text = "".join(map(_line, boxes, own))
            (folder / "labels" / split / f"pasture_{number:03}.txt").write_text(
                text, encoding="utf-8"
            )


def _line(box: tuple[int, int, int, int], kind: int) -> str:
    """Return class, centre and size, in shares of the image."""
    x1, y1, x2, y2 = (edge / EDGE_PX for edge in box)
    values = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
    return " ".join([str(kind), *(f"{value:.6f}" for value in values)]) + "\n"


def _kinds(images: int, generator: np.random.Generator) -> Iterator[list[int]]:
    """Yield the classes in each image; their shares are the same for every seed."""
    numbers = generator.permutation(np.resize(ANIMALS, images))
    kinds = np.zeros(numbers.sum(), np.int64)
    kinds[::ONE_IN] = 1
    for own in np.split(generator.permutation(kinds), np.cumsum(numbers)[:-1]):
        yield own.tolist()


def draw_image(
    kinds: list[int], generator: np.random.Generator
) -> tuple[NDArray[np.uint8], list[tuple[int, int, int, int]], list[int]]:
    """Return a picture, its boxes in pixels and their classes.

    Args:
        kinds: of the animals that stand in it, apart from each other.
        generator: all that is random.
    Returns: (128, 128, 3) uint8, red first; corners; classes.
    """
    boxes = _places(len(kinds), generator)
    meadow = 1 + 0.18 * _smooth(generator, 8.0) + 0.10 * _smooth(generator, 1.5)
    picture = np.asarray(GRASS) * meadow[..., None]
    for (x1, y1, x2, y2), kind in zip(boxes, kinds, strict=True):
        height, width = y2 - y1, x2 - x1
        coat, patch = (np.asarray(colour) for colour in COATS[kind])
        is_patch = _smooth(generator, 3.0)[:height, :width, None] > 0.3
        is_body = _silhouette(height, width, is_turned=bool(generator.integers(2)))
        light = generator.uniform(0.85, 1.15)
        inner = picture[y1:y2, x1:x2]
        inner[is_body] = (np.where(is_patch, patch, coat) * light)[is_body]
    picture = picture + generator.normal(0, NOISE, picture.shape)
    return (picture.clip(0, 1) * 255).round().astype(np.uint8), boxes, kinds


def _places(count: int, generator: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """Return boxes within the image that are a pixel or more apart."""
    boxes: list[tuple[int, int, int, int]] = []
    while len(boxes) < count:
        width, height = (int(edge) for edge in generator.integers(*BOX_PX, 2))
        x, y = int(generator.integers(EDGE_PX - width)), int(generator.integers(EDGE_PX - height))
        if all(
            x + width < left or right < x or y + height < top or bottom < y
            for left, top, right, bottom in boxes
        ):
            boxes.append((x, y, x + width, y + height))
    return boxes


def _silhouette(height: int, width: int, *, is_turned: bool) -> NDArray[np.bool_]:
    """Return (height, width): trunk, head and legs, reaching every edge of the box."""
    drawn = np.zeros((height, width), np.uint8)
    trunk_width, trunk_height = round(0.86 * width), round(0.7 * height)
    cv2.ellipse(
        drawn, (trunk_width // 2, height // 3), (trunk_width // 2, trunk_height // 2),
        0, 0, 360, 1, -1,
    )  # fmt: skip
    cv2.circle(drawn, (round(0.85 * width), height // 3), round(0.15 * width), 1, -1)
    thick = max(2, width // 9)
    for share in (0.15, 0.6):
        left = round(share * width)
        drawn[height // 2 :, left : left + thick] = 1
    drawn[0, width // 3 : width // 2] = 1
    drawn[height // 3, :] = 1
    return (drawn[:, ::-1] if is_turned else drawn).astype(bool)


def _smooth(generator: np.random.Generator, sigma_px: float) -> NDArray[np.float64]:
    """Return Gaussian noise, blurred, of mean 0 and standard deviation 1."""
    white = generator.standard_normal((EDGE_PX, EDGE_PX))
    field = cv2.GaussianBlur(white, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray((field - field.mean()) / field.std())


def _generator(source: np.random.SeedSequence) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(source))
