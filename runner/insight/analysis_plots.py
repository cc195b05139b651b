"""Pictures of what was measured: shares of classes, and how sizes are distributed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from runner.insight.analysis_figures import Tally
from runner.statistics import Statistics

WIDTH_PX, MARGIN_PX, LINE_PX = 960, 28, 22
INK, PALE, GRID = (38, 38, 42), (120, 120, 128), (228, 228, 232)
COLOURS = ((31, 98, 178), (230, 126, 34), (46, 139, 87), (142, 68, 173))
_BINS, _TICKS = 40, 8

_TITLES = {
    "objects_per_image": "objects of an image",
    "boxes_per_image": "boxes of an image",
    "box_side_px": "side of a box as stored, px",
    "box_side_at_size_px": "side of a box in a sample, px",
}
"""What samples are called; others are not drawn."""


def draw_plots(found: Statistics, tallies: Mapping[str, Tally], folder: Path) -> list[Path]:
    """Write the plots that there is something to show in; return their files."""
    drawn = []
    if len(found.classes) > 1:
        drawn.append(_written(class_shares(found), folder / "classes.png"))
    sizes = _sizes_of(tallies)
    drawn += [
        _written(histograms(title, values), folder / f"{name}.png")
        for name, (title, values) in sizes.items()
    ]
    return drawn


def _sizes_of(tallies: Mapping[str, Tally]) -> dict[str, tuple[str, dict[str, list[float]]]]:
    """Return by name of a plot its title and, of each split, the values."""
    found: dict[str, tuple[str, dict[str, list[float]]]] = {}
    edges = {
        split: [math.prod(shape) ** (1 / len(shape)) for shape in tally.shapes]
        for split, tally in tallies.items()
    }
    # One size is told by a number.
    if len({round(edge) for each in edges.values() for edge in each}) > 1:
        found["image_sizes"] = "edge of a square (cube) as large as an image (volume)", edges
    for name, title in _TITLES.items():
        values = {split: tally.samples.get(name, []) for split, tally in tallies.items()}
        if any(values.values()):
            found[name] = title, values
    return found


def class_shares(found: Statistics) -> Image.Image:
    """Return bars of each class's share in each split, on a scale of powers of ten."""
    splits = found.splits
    rows = len(found.classes) * (len(splits) * LINE_PX + 14)
    image, draw = canvas(rows + 130, f"share of each class among the {found.unit}")
    longest = max(draw.textlength(name, font(15)) for name in found.classes)
    left, right = MARGIN_PX + int(longest) + 16, WIDTH_PX - MARGIN_PX - 84
    present = [share for each in splits.values() for share in each.shares.values() if share]
    lowest = min(-1, math.floor(math.log10(min(present, default=0.1)) - 0.2))

    def x_of(share: float) -> float:
        return left + (right - left) * (1 - max(math.log10(share), lowest) / lowest)

    top = _legend(draw, list(splits)) + 10
    for power in range(lowest, 1):
        x = x_of(10.0**power)
        draw.line([(x, top), (x, top + rows)], fill=GRID)
        label = f"{100 * 10.0**power:g} %"
        draw.text((x, top + rows + 8), label, PALE, font(13), anchor="mt")
    y = top + 8
    for name in found.classes:
        middle = y + len(splits) * LINE_PX / 2
        draw.text((left - 10, middle), name, INK, font(15), anchor="rm")
        for number, each in enumerate(splits.values()):
            share = each.shares[name]
            if share:
                bar = [(left, y + 2), (max(x_of(share), left + 1), y + LINE_PX - 3)]
                draw.rectangle(bar, fill=COLOURS[number % len(COLOURS)])
            x = x_of(share) if share else left
            text = f"{share:.2%}" if share else "none"
            draw.text((x + 8, y + LINE_PX / 2), text, INK, font(13), anchor="lm")
            y += LINE_PX
        y += 14
    return image


def histograms(title: str, values: Mapping[str, Sequence[float]]) -> Image.Image:
    """Return one histogram for each split, below each other on a common scale."""
    shown = {split: np.asarray(each, np.float64) for split, each in values.items() if len(each)}
    height, gap = 130, 34
    image, draw = canvas(len(shown) * (height + gap) + 110, title)
    edges, ticks = _scale(np.concatenate(list(shown.values())))
    left, right = MARGIN_PX + 8, WIDTH_PX - MARGIN_PX - 8
    bar = (right - left) / (len(edges) - 1)
    top = 72
    for number, (split, each) in enumerate(shown.items()):
        counts = np.histogram(each, edges)[0]
        floor = top + height
        for place, count in enumerate(counts):
            if count:
                y = floor - max(1.0, (height - 24) * count / counts.max())
                box = [(left + place * bar + 1, y), (left + (place + 1) * bar - 1, floor)]
                draw.rectangle(box, fill=COLOURS[number % len(COLOURS)])
        draw.line([(left, floor), (right, floor)], fill=PALE)
        text = f"{split}: {len(each):,}, median {np.median(each):.4g}"
        draw.text((left, top - 8), text, INK, font(14), anchor="lm")
        top += height + gap
    for tick in ticks:
        x = left + (right - left) * (tick - edges[0]) / (edges[-1] - edges[0])
        draw.text((x, top - gap + 8), f"{tick:.6g}", PALE, font(13), anchor="mt")
    return image


def _scale(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the edges of about forty bins, and a few round numbers among them."""
    low, high = float(values.min()), float(values.max())
    # Between values that differ by rounding alone lie no bins.
    spread = 0.0 if math.isclose(low, high) else high - low
    width = round_step(spread / _BINS)
    is_whole = bool((values == values.round()).all())
    if is_whole:
        width = max(1.0, width)
    # A whole number stands in the middle of its bin.
    shift = 0.5 if is_whole else 0.0
    first, last = math.floor(low / width), math.floor(high / width) + 1
    edges = np.arange(first, last + 1, dtype=np.float64) * width - shift
    step = round_step(spread / _TICKS)
    ticks = np.arange(math.ceil(edges[0] / step), math.floor(edges[-1] / step) + 1) * step
    return edges, ticks


def round_step(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below a number."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _legend(draw: ImageDraw.ImageDraw, splits: Sequence[str]) -> int:
    x, y = MARGIN_PX, 66
    for number, split in enumerate(splits):
        draw.rectangle([(x, y), (x + 12, y + 12)], fill=COLOURS[number % len(COLOURS)])
        draw.text((x + 18, y + 6), split, INK, font(14), anchor="lm")
        x += 40 + int(draw.textlength(split, font(14)))
    return y + 20


def canvas(height: int, title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return a white picture with its title, and what draws on it."""
    image = Image.new("RGB", (WIDTH_PX, height), "white")
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN_PX, 22), title, INK, font(20))
    return image, draw


def font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font."""
    return ImageFont.load_default(size_px)


def _written(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path
