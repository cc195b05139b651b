"""The curve of a learning rate as a picture, PNG or SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from runner.insight.analysis_plots import (
    COLOURS,
    GRID,
    INK,
    MARGIN_PX,
    PALE,
    WIDTH_PX,
    canvas,
    font,
    round_step,
)

HEIGHT_PX = 420
_LEFT, _TOP, _BOTTOM = MARGIN_PX + 72, 84, HEIGHT_PX - 64
_RIGHT = WIDTH_PX - MARGIN_PX
_LEVELS = 4

Point = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """What is drawn, in pixels of the picture.

    Attributes:
        title: above it.
        curve: from left to right.
        levels: height and label of the horizontal lines.
        moments: place and label of the vertical ones.
    """

    title: str
    curve: tuple[Point, ...]
    levels: tuple[tuple[float, str], ...]
    moments: tuple[tuple[float, str], ...]


def draw_rates(
    title: str, curve: Sequence[float], moments: Sequence[tuple[float, str]], file: Path
) -> None:
    """Write the picture; the file's suffix, ``.png`` or ``.svg``, decides its format.

    Args:
        title: above it.
        curve: learning rates at even distances from the start to the end.
        moments: fractions of the training to be marked, with their labels.
        file: to write.
    """
    drawing = _drawing(title, curve, moments)
    if file.suffix == ".svg":
        file.write_text(_as_svg(drawing), encoding="utf-8")
    else:
        _write_png(drawing, file)


def _drawing(title: str, curve: Sequence[float], moments: Sequence[tuple[float, str]]) -> Drawing:
    step = round_step(max(curve) / _LEVELS)
    top = step * -(-max(curve) // step)

    def x_of(fraction: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * fraction

    def y_of(rate: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * rate / top

    levels = [number * step for number in range(round(top / step) + 1)]
    return Drawing(
        title,
        tuple((x_of(n / (len(curve) - 1)), y_of(rate)) for n, rate in enumerate(curve)),
        tuple((y_of(level), f"{level:.3g}") for level in levels),
        tuple((x_of(fraction), label) for fraction, label in moments),
    )


def _write_png(drawing: Drawing, file: Path) -> None:
    image, draw = canvas(HEIGHT_PX, drawing.title)
    for y, label in drawing.levels:
        draw.line([(_LEFT, y), (_RIGHT, y)], fill=GRID)
        draw.text((_LEFT - 10, y), label, PALE, font(13), anchor="rm")
    for x, label in drawing.moments:
        draw.line([(x, _TOP), (x, _BOTTOM)], fill=GRID)
        for line, text in enumerate(label.split("\n")):
            draw.text((x, _BOTTOM + 10 + 18 * line), text, PALE, font(13), anchor="mt")
    draw.line(list(drawing.curve), fill=COLOURS[0], width=3, joint="curve")
    image.save(file)


def _as_svg(drawing: Drawing) -> str:
    pale, grid, ink, blue = (f"rgb{each}" for each in (PALE, GRID, INK, COLOURS[0]))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH_PX}" height="{HEIGHT_PX}" fill="white"/>',
        f'<text x="{MARGIN_PX}" y="42" font-size="20" fill="{ink}">{escape(drawing.title)}</text>',
    ]
    for y, label in drawing.levels:
        lines.append(f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="{grid}"/>')
        lines.append(
            f'<text x="{_LEFT - 10}" y="{y + 4:.1f}" text-anchor="end" fill="{pale}">{label}</text>'
        )
    for x, label in drawing.moments:
        lines.append(f'<path d="M{x:.1f} {_TOP}V{_BOTTOM}" stroke="{grid}"/>')
        for line, text in enumerate(label.split("\n")):
            lines.append(
                f'<text x="{x:.1f}" y="{_BOTTOM + 22 + 18 * line}" text-anchor="middle" '
                f'fill="{pale}">{escape(text)}</text>'
            )
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawing.curve)
    lines.append(f'<polyline points="{points}" fill="none" stroke="{blue}" stroke-width="2.5"/>')
    return "\n".join([*lines, "</svg>", ""])
