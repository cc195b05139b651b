"""Wavy thin sheets in the layout of the Vesuvius surface data, more than half of it unlabelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

EDGE = 32
SCROLLS = (11, 12, 13, 14)
VOLUMES_PER_SCROLL = 8

PERIOD = 9.0
"""Voxels from one sheet to the next."""

SURFACE = 1.2
"""Voxels of a sheet that are labelled: its surface."""

PAPYRUS = 3.0
"""Voxels of a sheet that are bright: the surface is one side of it, not all of it."""

BRIGHT, DARK, NOISE = 0.65, 0.35, 0.12
"""Grey of sheets and of what is between them, and the scanner's noise, from black to white."""

UNLABELLED = (0.40, 0.66)
"""Least and largest share of a volume that nobody labelled; 53 % on average over each scroll.

A wider range would teach a network that takes them for surface to leave some of them out.
"""

BACKGROUND, SURFACE_LABEL, UNLABELLED_LABEL = 0, 1, 2


def write(folder: Path, seed: int) -> None:
    """Write volumes, labels and the table of scrolls into an existing folder.

    Args:
        folder: to write into.
        seed: the files are a function of it.
    """
    for name in ("train_images", "train_labels"):
        (folder / name).mkdir()
    rows = ["id,scroll_id"]
    order = np.random.Generator(np.random.Philox(seed)).permutation(VOLUMES_PER_SCROLL)
    low, high = UNLABELLED
    total = len(SCROLLS) * VOLUMES_PER_SCROLL
    for number, source in enumerate(np.random.SeedSequence(seed).spawn(total)):
        scroll, place = divmod(number, VOLUMES_PER_SCROLL)
        share = low + (high - low) * (order[place] + 0.5) / VOLUMES_PER_SCROLL
        image, label = draw_volume(np.random.Generator(np.random.Philox(source)), share)
        volume = f"{SCROLLS[scroll]}{place:03}"
        _save(folder / "train_images" / f"{volume}.tif", image)
        _save(folder / "train_labels" / f"{volume}.tif", label)
        rows.append(f"{volume},{SCROLLS[scroll]}")
    (folder / "train.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")


def draw_volume(
    generator: np.random.Generator, unlabelled: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return one volume and its label, (32, 32, 32) uint8.

    Args:
        generator: all that is random.
        unlabelled: share of the voxels whose label is 2, in connected regions.
    """
    wave = gaussian_filter(generator.standard_normal((EDGE, EDGE)), 6)
    height = np.arange(EDGE)[:, None, None] + 2 * wave / wave.std() + generator.uniform(0, PERIOD)
    phase = np.mod(height, PERIOD)
    grey = np.where(phase < PAPYRUS, BRIGHT, DARK)
    grey = grey + generator.normal(0, NOISE, grey.shape)
    regions = gaussian_filter(generator.standard_normal(grey.shape), 6)
    is_unlabelled = regions > np.quantile(regions, 1 - unlabelled)
    label = np.where(phase < SURFACE, SURFACE_LABEL, BACKGROUND)
    label[is_unlabelled] = UNLABELLED_LABEL
    return (grey.clip(0, 1) * 255).round().astype(np.uint8), label.astype(np.uint8)


def _save(path: Path, volume: NDArray[np.uint8]) -> None:
    # Without the writer's name and version: equal seeds give equal files for years.
    tifffile.imwrite(path, volume, compression="lzw", metadata=None, software=False)
