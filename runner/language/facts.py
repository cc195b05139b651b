"""What follows from a recipe's values without looking at any data."""

import math
from dataclasses import dataclass
from typing import Any

from runner.contracts import Horizon, Progress
from runner.errors import RecipeError
from runner.language.recipe import Recipe

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1 - 1e-9)
"""The last is just before the end: at the end itself a restart would begin anew."""

_STEPS_PER_EPOCH = (1000.0, 77.0)
"""Two guesses: what is the same under both does not depend on how many samples there are."""


@dataclass(frozen=True)
class Fact:
    """One thing that follows.

    Attributes:
        name: as it is shown.
        value: in words; empty where it cannot be known without data.
    """

    name: str
    value: str


def facts(recipe: Recipe) -> list[Fact]:
    """Return what follows from a recipe's values."""
    train = recipe.train
    length = f"{train.epochs} epochs" if train.epochs is not None else f"{train.steps} steps"
    found = [
        Fact("effective batch", str(train.batch_size * train.accumulate)),
        Fact("length", length),
    ]
    for fraction, rate in zip(QUARTERS, rates(recipe), strict=True):
        value = "depends on the steps of an epoch" if rate is None else f"{rate:.3g}"
        found.append(Fact(f"learning rate at {fraction:.0%}", value))
    if train.early_stopping is not None:
        every = train.evaluate_every
        unit, each = ("epochs", every.epochs) if every.epochs else ("steps", every.steps)
        lasts = train.early_stopping.patience * (each or 1)
        found.append(Fact("patience", f"{lasts} {unit}"))
    return found


def rates(recipe: Recipe) -> list[float | None]:
    """Return the learning rate at each quarter; None where it depends on the data's size.

    Plateau schedules are shown as if the monitored metric improved at every evaluation.
    """
    try:
        guesses = [_rates(recipe, steps) for steps in _STEPS_PER_EPOCH]
    except RecipeError:
        # A horizon in steps that does not fit into a guess: only the data can tell.
        return [None] * len(QUARTERS)
    return [
        first if math.isclose(first, second, rel_tol=1e-3, abs_tol=1e-12) else None
        for first, second in zip(*guesses, strict=True)
    ]


def _rates(recipe: Recipe, steps_per_epoch: float) -> list[float]:
    train = recipe.train
    if train.epochs is not None:
        epochs, steps = float(train.epochs), train.epochs * steps_per_epoch
    else:
        assert train.steps is not None, "one length is written"
        epochs, steps = train.steps / steps_per_epoch, float(train.steps)
    learning_rate = base_rate(recipe) * train.lr_scale
    schedule = recipe.schedule.build(Horizon(steps, epochs, learning_rate, recipe.monitor.mode))
    return [
        learning_rate * schedule(Progress(fraction * steps, fraction * epochs, fraction))
        for fraction in QUARTERS
    ]


def base_rate(recipe: Recipe) -> float:
    """Return the optimizer's learning rate."""
    params: Any = recipe.optimizer.params
    return float(params.lr)
