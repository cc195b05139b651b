"""Patches of a plantation, few labelled and clear, many not and hazy, laid out like Salak's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SOURCE_PX, PATCH_PX = 96, 48
"""Edges of the image that a drone takes, and of the patches that it is cut into."""

FOLDERS = 6

SOURCES = {"labelled": 3, "unlabelled": 40, "val": 10}
"""Images of each kind: 12 patches with masks to train on, 160 without, 40 to validate on."""

HAZE = {"labelled": 0.15, "unlabelled": 0.75, "val": 0.75}
"""Share of haze in the haziest source; from none to there the sources are evenly spread.

What is labelled is clear: this gap makes a network that believes itself call what is hazy ground.
"""

NOISE = 0.12
"""Standard deviation of the sensor's noise, of the range from black to white."""

CLASSES = (
    ("background", (0, 0, 0)), ("Badan Air", (255, 50, 50)), ("Bangunan", (255, 225, 50)),
    ("Jalan", (109, 255, 50)), ("Pohon Berinang", (50, 255, 167)), ("Snake Fruit", (50, 167, 255)),
    ("Tanah Terbuka", (109, 50, 255)),
)  # fmt: skip
"""Names and colours of the classes, by index: background, water, buildings, roads, areca palms,
salak palms, bare soil.
"""

# Red, green, blue as seen without haze. Haze is as grey as the background.
SEEN = np.array([
    (0.50, 0.50, 0.50), (0.20, 0.30, 0.80), (0.85, 0.20, 0.20), (0.90, 0.88, 0.80),
    (0.05, 0.35, 0.20), (0.25, 0.65, 0.25), (0.75, 0.50, 0.20),
])  # fmt: skip

# Classes that a field of hills divides by height, from below, and the share below each one's top.
HILLS = ((0, 0.16), (6, 0.34), (5, 0.84), (4, 1.0))
POND_PX, PONDS = 8, 2
"""Of water there are two squares in a source: 1.4 %."""


def write(folder: Path, seed: int) -> None:
    """Write images, masks, the class mapping and lists into an existing folder.

    The masks of unlabelled patches are there, too: what is right about labels that a network makes
    itself can be told. ``train_labelled.txt`` says which may be trained on.

    Args:
        folder: to write into.
        seed: the files are a function of it.
    """
    rows = [
        f"{red},{green},{blue},{name},{index},{name}"
        for index, (name, (red, green, blue)) in enumerate(CLASSES)
    ]
    _write_lines(folder / "class_mapping.csv", ["r,g,b,name,target_id,target_name", *rows])
    for number in range(1, FOLDERS + 1):
        for kind in ("images", "masks"):
            (folder / f"salak-1-{number}" / kind).mkdir(parents=True)
    sources = iter(np.random.SeedSequence(seed).spawn(sum(SOURCES.values())))
    names: dict[str, list[str]] = {}
    number = 0
    for kind, count in SOURCES.items():
        names[kind] = []
        for haze in np.linspace(0, HAZE[kind], count):
            generator = np.random.Generator(np.random.Philox(next(sources)))
            mask = draw_mask(generator)
            image = draw_image(mask, float(haze), generator)
            place = folder / f"salak-1-{number % FOLDERS + 1}"
            for corner, part in _patches(mask):
                file = f"dji-{number:04}_{corner[0]}_{corner[1]}.png"
                _save(place / "images" / file, image[part])
                _save(place / "masks" / file, _COLOURS[mask[part]])
                names[kind].append(f"{place.name}/images/{file}")
            number += 1
    _write_lines(folder / "train_labelled.txt", names["labelled"])
    _write_lines(folder / "train.txt", names["labelled"] + names["unlabelled"])
    _write_lines(folder / "val.txt", names["val"])


_COLOURS = np.array([colour for _, colour in CLASSES], np.uint8)


def draw_mask(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return one scene as (96, 96) uint8 class indices."""
    field = cv2.GaussianBlur(generator.standard_normal((SOURCE_PX, SOURCE_PX)), (0, 0), 6.0)
    tops = np.quantile(field, [share for _, share in HILLS[:-1]])
    mask = np.array([index for index, _ in HILLS], np.uint8)[np.searchsorted(tops, field)]
    rows, columns = np.mgrid[:SOURCE_PX, :SOURCE_PX]
    middle, slope = generator.uniform(24, 72), generator.uniform(-0.3, 0.3)
    bend = middle + slope * (columns - SOURCE_PX / 2) + 5 * np.sin(columns / 14)
    mask[np.abs(rows - bend) < 4] = 3
    for _ in range(6):
        row, column = generator.integers(2, SOURCE_PX - 14, 2)
        height, width = generator.integers(8, 13, 2)
        mask[row : row + height, column : column + width] = 2
    # One pond in each half, the last to be drawn: the share of the rarest class is exact.
    for half in range(PONDS):
        row = generator.integers(4, SOURCE_PX // PONDS - POND_PX - 4) + half * SOURCE_PX // PONDS
        column = generator.integers(4, SOURCE_PX - POND_PX - 4)
        mask[row : row + POND_PX, column : column + POND_PX] = 1
    return mask


def draw_image(
    mask: NDArray[np.uint8], haze: float, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return what a camera sees of a scene: (96, 96, 3) uint8, red first.

    Args:
        mask: the scene.
        haze: share of grey in what is seen.
        generator: of the noise.
    """
    seen = (1 - haze) * SEEN[mask] + haze * SEEN[0]
    noisy = seen + generator.normal(0, NOISE, seen.shape)
    return np.asarray((noisy.clip(0, 1) * 255).round(), np.uint8)


def _patches(mask: NDArray[np.uint8]) -> Iterator[tuple[tuple[int, int], tuple[slice, slice]]]:
    """Yield the first row and column of each patch, and where it lies."""
    for row in range(0, len(mask), PATCH_PX):
        for column in range(0, len(mask), PATCH_PX):
            yield (row, column), (slice(row, row + PATCH_PX), slice(column, column + PATCH_PX))


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _save(path: Path, colours: NDArray[np.uint8]) -> None:
    done, content = cv2.imencode(".png", np.ascontiguousarray(colours[..., ::-1]))
    assert done, "cv2 writes PNG"
    path.write_bytes(content.tobytes())
