"""What follows from a recipe's values without looking at any data."""

from dataclasses import dataclass

from runner.language.course import plans_of, rates_at
from runner.language.recipe import Recipe

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1 - 1e-9)
"""The last is just before the end: at the end itself a restart would begin anew."""


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
    """Return the learning rate at each quarter; None where it depends on the data's size."""
    return rates_at(recipe, plans_of(recipe), QUARTERS)
