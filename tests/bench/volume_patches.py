"""Print how much faster random patches are after an LZW TIFF was unpacked once.

    python tests/bench/volume_patches.py [FOLDER]

A volume of 512³ uint8 voxels, patches of 128³. On the one hand the patches of a training split
(image and mask, from the cache); on the other hand the TIFF decoded for each patch: as a whole,
and of those pages alone that the patch needs. FOLDER is for the files, 300 MB; a temporary one
where it is not given.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from runner.contracts import DataContext, Draw
from runner.data.crops import UniformCut
from runner.registry import datasets

EDGE, PATCH = 512, 128
WANTED = 50


def main() -> None:
    """Write the volume, unpack it, and compare."""
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=given) as folder:
        root = Path(folder)
        write(root)
        params = {
            "root": str(root), "images": "images/*.tif", "labels": "labels/{stem}.tif",
            "splits": {"z_ranges": {"train": [0, EDGE - PATCH], "val": [EDGE - PATCH, EDGE]}},
            "patch": [PATCH] * 3,
        }  # fmt: skip
        start = time.perf_counter()
        part = datasets.parse({"name": "volumes", "params": params})
        split = part.build(DataContext(Path, root / "cache")).splits["train"]
        print(f"unpacked and measured once: {time.perf_counter() - start:.1f} s")
        generator = np.random.Generator(np.random.Philox(0))
        ours = timed(lambda: split.load(Draw(0, 0), generator), 100)
        path = root / "images" / "x.tif"
        for what, key in (("the whole TIFF", None), ("the patch's pages", PATCH)):
            theirs = timed(lambda key=key: read_tiff(path, key, generator), 3)
            print(
                f"{what} for each patch: {theirs * 1e3:.0f} ms; unpacked, with its mask: "
                f"{ours * 1e3:.2f} ms; ratio {theirs / ours:.0f} (wanted: {WANTED})"
            )


def write(root: Path) -> None:
    """Write a volume as noisy as a scan, and its label."""
    generator = np.random.default_rng(0)
    for name in ("images", "labels"):
        (root / name).mkdir()
    grey = (
        generator.normal(120, 12, (EDGE, EDGE)).clip(0, 255).astype(np.uint8) for _ in range(EDGE)
    )
    label = (generator.random((EDGE, EDGE)) < 0.05 for _ in range(EDGE))
    for name, pages in (("images", grey), ("labels", (page.astype(np.uint8) for page in label))):
        tifffile.imwrite(
            root / name / "x.tif", pages, shape=(EDGE,) * 3, dtype=np.uint8, compression="lzw"
        )


def read_tiff(path: Path, pages: int | None, generator: np.random.Generator) -> np.ndarray:
    """Return a random patch, as a loader without a cache reads it."""
    corner = UniformCut()(np.empty((EDGE,) * 3, np.uint8), (PATCH,) * 3, generator)
    inner = tuple(slice(at, at + PATCH) for at in corner)
    if pages is None:
        return np.array(tifffile.imread(path, maxworkers=1)[inner])
    with tifffile.TiffFile(path) as file:
        chosen = file.asarray(key=range(corner[0], corner[0] + pages), maxworkers=1)
    return np.array(chosen[(slice(None), *inner[1:])])


def timed(call: Callable[[], object], rounds: int) -> float:
    """Return the median of several calls, in seconds."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
