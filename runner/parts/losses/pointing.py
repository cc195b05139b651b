"""Losses of a pointed place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.registry import losses

if TYPE_CHECKING:
    from runner.contracts import DataSpec, Loss

Threshold = Annotated[float, Field(gt=0, le=4)]


@losses.register
def mse(_: DataSpec, /) -> Loss:
    """Mean squared distance, dx² + dy², in squared units of which the canvas has two."""
    from runner.nets.pointing.losses import PointLoss

    return PointLoss("mse")


@losses.register
def distance_hinge(_: DataSpec, /, *, threshold: Threshold = 0.3) -> Loss:
    """The seed's loss of d = |dx| + |dy|: d² below the threshold t, t d + t² from there on.

    It jumps at the threshold, and its gradient halves there; see huber_distance.

    Args:
        threshold: in units of which the canvas has two.
    """
    from runner.nets.pointing.losses import PointLoss

    return PointLoss("distance_hinge", threshold)


@losses.register
def huber_distance(_: DataSpec, /, *, threshold: Threshold = 0.3) -> Loss:
    """Loss of d = |dx| + |dy|: d² below the threshold t, its tangent 2 t d - t² from there on.

    Args:
        threshold: in units of which the canvas has two.
    """
    from runner.nets.pointing.losses import PointLoss

    return PointLoss("huber_distance", threshold)
