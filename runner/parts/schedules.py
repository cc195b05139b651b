"""Schedules: the factor of the learning rate as a pure function of how far the training is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from runner.errors import Problem, RecipeError
from runner.registry import Strict, schedules

if TYPE_CHECKING:
    from runner.contracts import Horizon, Progress, Schedule

Length = Annotated[float, Field(gt=0)]
Factor = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0)]


class Duration(Strict):
    """A part of the training: ``{epochs: 5}``, ``{steps: 1000}`` or ``{fraction: 0.1}``.

    It is measured on the plan as written, so that it keeps its share of a compressed one.
    """

    epochs: Length | None = None
    steps: Length | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> Duration:
        if sum(value is not None for _, value in self) != 1:
            raise PydanticCustomError("duration", "write exactly one of epochs, steps, fraction")
        return self

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        return {name: value for name, value in self if value is not None}

    def in_steps(self, horizon: Horizon) -> float:
        """Return it in optimizer steps of the plan as written."""
        if self.epochs is not None:
            steps = self.epochs * horizon.steps / horizon.epochs
            # 300 steps of 7 an epoch make an epoch of 7.000000000000001 of them.
            return float(round(steps)) if math.isclose(steps, round(steps)) else steps
        if self.fraction is not None:
            return self.fraction * horizon.steps
        assert self.steps is not None, self
        return self.steps


@schedules.register
def constant(
    horizon: Horizon, /, *, warmup: Duration | None = None, warmup_start_factor: Factor = 0.0
) -> Schedule:
    """The learning rate as it is, after a linear warm-up.

    Args:
        warmup: how long the rate rises from the start; no warm-up where left out.
        warmup_start_factor: of the learning rate at the first step of the warm-up.
    """
    return _warmed_up(_steps(horizon, warmup), warmup_start_factor, lambda _: 1.0)


@schedules.register
def cosine(
    horizon: Horizon,
    /,
    *,
    duration: Duration | None = None,
    min_lr: Rate = 0.0,
    warmup: Duration | None = None,
    warmup_start_factor: Factor = 0.0,
    warmup_shape: Literal["linear", "staircase"] = "linear",
) -> Schedule:
    """Half a cosine from the end of the warm-up down to ``min_lr``, where it stays.

    Args:
        duration: from the first step, warm-up included, to ``min_lr``; the training's by default.
        min_lr: the learning rate at the end.
        warmup: how long the rate rises from the start; no warm-up where left out.
        warmup_start_factor: of the learning rate at the first step of the warm-up.
        warmup_shape: linear rises with every step; staircase with every epoch, in epoch e of n to
            start + (1 - start) * (e + 1) / n.
    """
    start = _steps(horizon, warmup)
    end = duration.in_steps(horizon) if duration else horizon.steps
    floor = _floor(horizon, min_lr)
    _check_warmup(start, end)

    def after(step: float) -> float:
        return _half_cosine(min(step / (end - start), 1.0), floor)

    if warmup_shape == "staircase":
        return _stepped_up(start, warmup_start_factor, horizon, after)
    return _warmed_up(start, warmup_start_factor, after)


@schedules.register
def cosine_warm_restarts(
    horizon: Horizon,
    /,
    *,
    first: Duration,
    multiplier: Annotated[float, Field(ge=1)] = 1.0,
    min_lr: Rate = 0.0,
    warmup: Duration | None = None,
    warmup_start_factor: Factor = 0.0,
) -> Schedule:
    """Cosines down to ``min_lr``, each beginning at the full rate again (Loshchilov 2017).

    Args:
        first: length of the first cosine, counted from the end of the warm-up.
        multiplier: how much longer each cosine is than the one before.
        min_lr: the learning rate at the end of each cosine.
        warmup: how long the rate rises from the start; no warm-up where left out.
        warmup_start_factor: of the learning rate at the first step of the warm-up.
    """
    length = first.in_steps(horizon)
    floor = _floor(horizon, min_lr)

    def after(step: float) -> float:
        if multiplier == 1:
            return _half_cosine(step % length / length, floor)
        current = length
        while step >= current:
            step -= current
            current *= multiplier
        return _half_cosine(step / current, floor)

    start = _steps(horizon, warmup)
    _check_warmup(start, horizon.steps)
    return _warmed_up(start, warmup_start_factor, after)


@schedules.register
def poly(
    horizon: Horizon,
    /,
    *,
    power: Annotated[float, Field(gt=0)] = 0.9,
    warmup: Duration | None = None,
    warmup_start_factor: Factor = 0.0,
) -> Schedule:
    """What is left of the training, to a power; 0 at its end.

    Args:
        power: 1 falls linearly, less falls late, more falls early.
        warmup: how long the rate rises from the start; no warm-up where left out.
        warmup_start_factor: of the learning rate at the first step of the warm-up.
    """
    start = _steps(horizon, warmup)
    _check_warmup(start, horizon.steps)

    def after(step: float) -> float:
        left = max(0.0, 1.0 - step / (horizon.steps - start))
        return math.pow(left, power)

    return _warmed_up(start, warmup_start_factor, after)


@schedules.register
def plateau(
    horizon: Horizon,
    /,
    *,
    factor: Annotated[float, Field(gt=0, lt=1)],
    patience: Annotated[int, Field(ge=0)],
    min_delta: Annotated[float, Field(ge=0)] = 0.0,
    min_lr: Rate = 0.0,
    warmup: Duration | None = None,
    warmup_start_factor: Factor = 0.0,
) -> Schedule:
    """Lower the rate when the monitored metric has stopped improving.

    Args:
        factor: what the rate is multiplied by.
        patience: evaluations without improvement that are let pass; the one after lowers it.
        min_delta: what counts as an improvement, in the metric's unit.
        min_lr: the learning rate is never lowered below.
        warmup: how long the rate rises from the start; no warm-up where left out.
        warmup_start_factor: of the learning rate at the first step of the warm-up.
    """
    floor = _floor(horizon, min_lr)
    rise = _warmed_up(_steps(horizon, warmup), warmup_start_factor, lambda _: 1.0)
    sign = 1.0 if horizon.mode == "max" else -1.0

    def schedule(progress: Progress) -> float:
        rate, best, bad = 1.0, -math.inf, 0
        for _, value in progress.monitored:
            if sign * value > best + min_delta:
                best, bad = sign * value, 0
            else:
                bad += 1
            if bad > patience:
                rate, bad = max(rate * factor, floor), 0
        return rate * rise(progress)

    return schedule


def _warmed_up(
    warmup_steps: float, start_factor: float, after: Callable[[float], float]
) -> Schedule:
    """Return a linear rise, followed by a function of the steps since its end."""
    if start_factor and not warmup_steps:
        cure = "write warmup, or set this to 0"
        message = f"{start_factor:g} is where a warm-up starts, and there is none; {cure}"
        raise RecipeError(Problem("", "schedule.params.warmup_start_factor", message))

    def schedule(progress: Progress) -> float:
        if progress.step < warmup_steps:
            return start_factor + (1 - start_factor) * progress.step / warmup_steps
        return after(progress.step - warmup_steps)

    return schedule


def _stepped_up(
    warmup_steps: float, start_factor: float, horizon: Horizon, after: Callable[[float], float]
) -> Schedule:
    """Return a rise at the beginning of each epoch, followed by a function of the steps since."""
    if not warmup_steps:
        message = "staircase is the shape of a warm-up; write warmup, or leave this key out"
        raise RecipeError(Problem("", "schedule.params.warmup_shape", message))
    epochs = warmup_steps * horizon.epochs / horizon.steps

    def schedule(progress: Progress) -> float:
        if progress.step >= warmup_steps:
            return after(progress.step - warmup_steps)
        # A compressed plan counts in fractions, whose sum may fall short of the whole by a bit.
        begun = math.floor(progress.epoch + 1e-6) + 1
        return start_factor + (1 - start_factor) * min(begun / epochs, 1.0)

    return schedule


def _half_cosine(fraction: float, floor: float) -> float:
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * fraction))


def _steps(horizon: Horizon, duration: Duration | None) -> float:
    return duration.in_steps(horizon) if duration else 0.0


def _floor(horizon: Horizon, min_lr: float) -> float:
    if min_lr > horizon.learning_rate:
        message = f"{min_lr:g} is above the learning rate {horizon.learning_rate:g}; lower it"
        raise RecipeError(Problem("", "schedule.params.min_lr", message))
    return min_lr / horizon.learning_rate


def _check_warmup(warmup_steps: float, end_steps: float) -> None:
    if warmup_steps >= end_steps:
        message = (
            f"{warmup_steps:g} steps of warm-up leave nothing of {end_steps:g}; shorten it, "
            "or train longer"
        )
        raise RecipeError(Problem("", "schedule.params.warmup", message))
