"""Losses of a distance in closed form, to be shown without torch; what is trained agrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

DistanceLoss = Literal["mse", "distance_hinge", "huber_distance"]

ERRORS_PX = (5.0, 10.0, 20.0, 30.0, 57.0, 100.0)
"""Errors at which losses are compared: those that the pointer's post-mortem speaks of."""


@dataclass(frozen=True)
class DistanceRow:
    """What a loss makes of an error along one axis.

    Attributes:
        loss: its name.
        threshold: where it changes its form; None of the mean squared error.
        error_px: along one axis.
        distance: the same in units of the target, of which the edge is two.
        value: of the loss.
        gradient: of the loss by the distance.
    """

    loss: DistanceLoss
    threshold: float | None
    error_px: float
    distance: float
    value: float
    gradient: float


def mse(distance: float, _: float) -> tuple[float, float]:
    """Return value and gradient of the squared distance: the same parabola, without an end."""
    return distance**2, 2 * distance


def distance_hinge(distance: float, threshold: float) -> tuple[float, float]:
    """Return value and gradient of the seed's loss, which jumps at the threshold."""
    if distance < threshold:
        return distance**2, 2 * distance
    return threshold * distance + threshold**2, threshold


def huber_distance(distance: float, threshold: float) -> tuple[float, float]:
    """Return value and gradient of the loss that continues a parabola by its tangent.

    Source: Huber 1964, twice his loss.
    """
    if distance < threshold:
        return distance**2, 2 * distance
    return 2 * threshold * distance - threshold**2, 2 * threshold


_LOSSES: dict[DistanceLoss, Callable[[float, float], tuple[float, float]]] = {
    "mse": mse,
    "distance_hinge": distance_hinge,
    "huber_distance": huber_distance,
}


def distance_table(
    loss: DistanceLoss,
    thresholds: Sequence[float] = (0.3, 0.1),
    *,
    errors_px: Sequence[float] = ERRORS_PX,
    edge_px: float = 384.0,
) -> list[DistanceRow]:
    """Return value and gradient of a loss at given errors, threshold by threshold.

    Args:
        loss: its registered name.
        thresholds: in units of the target; of mse one row an error is returned, without.
        errors_px: along one axis.
        edge_px: of the canvas along that axis; two units of the target.
    """
    rows = []
    for threshold in thresholds if loss != "mse" else (None,):
        for error_px in errors_px:
            distance = 2 * error_px / edge_px
            value, gradient = _LOSSES[loss](distance, threshold or 0.0)
            rows.append(DistanceRow(loss, threshold, error_px, distance, value, gradient))
    return rows


def weakened_beyond_px(old: float, new: float, *, edge_px: float = 384.0) -> float:
    """Return the error from which on a smaller threshold of the hinge lowers the gradient.

    Up to the new threshold both gradients are the parabola's; from there the new one is
    ``new``, the old one at least ``min(2 new, old)``.

    Args:
        old, new: thresholds in units of the target, the new one smaller.
        edge_px: of the canvas.
    """
    if not 0 < new < old:
        raise ValueError(f"a tighter threshold is smaller: {new:g} is not below {old:g}")
    return new * edge_px / 2
