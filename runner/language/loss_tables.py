"""What a loss of a distance makes of errors in pixels of the recipe's canvas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from runner.language.document import dotted
from runner.language.recipe import Recipe
from runner.language.walk import parts_of
from runner.nets.pointing.distance import ERRORS_PX, DistanceLoss, DistanceRow, distance_table


@dataclass(frozen=True)
class LossTable:
    """Value and gradient of one loss at errors along the canvas's width.

    Attributes:
        key: of the loss.
        loss: its name.
        threshold: in units of the target; None of a loss that has none.
        threshold_px: the same on the canvas.
        edge_px: width of the canvas, two units of the target.
    """

    key: str
    loss: str
    threshold: float | None
    threshold_px: float | None
    edge_px: float
    rows: tuple[DistanceRow, ...]
    at_threshold: tuple[DistanceRow, ...] = ()


def loss_tables(recipe: Recipe) -> Iterator[LossTable]:
    """Yield a table for each loss of the recipe that is one of a distance."""
    canvas = getattr(recipe.data.params, "canvas", None)
    if canvas is None:
        return
    edge_px = float(canvas[1])
    for key, part in parts_of(recipe):
        if part.name not in get_args(DistanceLoss) or key[-1] != "loss":
            continue
        name: Any = part.name
        threshold = getattr(part.params, "threshold", None)
        threshold_px = threshold * edge_px / 2 if threshold else None
        around = (threshold_px * (1 - 1e-9), threshold_px * (1 + 1e-9)) if threshold_px else ()
        rows, sides = (
            distance_table(name, [threshold or 0.0], errors_px=errors, edge_px=edge_px)
            for errors in ([each for each in ERRORS_PX if each < edge_px], around)
        )
        yield LossTable(
            dotted(key), part.name, threshold, threshold_px, edge_px, tuple(rows), tuple(sides)
        )


def weaker_px(old: LossTable, new: LossTable) -> tuple[float, float] | None:
    """Return between which errors, in tenths of a pixel, a loss pulls less than another.

    None where it pulls no error less.
    """
    errors = [tenths / 10 for tenths in range(int(new.edge_px * 10) + 1)]
    names: tuple[Any, Any] = (old.loss, new.loss)
    before, after = (
        distance_table(name, [table.threshold or 0.0], errors_px=errors, edge_px=new.edge_px)
        for name, table in zip(names, (old, new), strict=True)
    )
    weaker = [a.gradient < b.gradient for b, a in zip(before, after, strict=True)]
    if not any(weaker):
        return None
    first, last = weaker.index(True), len(weaker) - 1 - weaker[::-1].index(True)
    return errors[max(first - 1, 0)], errors[last]
