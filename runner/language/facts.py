"""What follows from a recipe's values, and from figures of its data where these are known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Any

from runner.counting import number_of
from runner.language.class_weights import weight_tables
from runner.language.course import (
    counted_items,
    draws_per_item,
    own_optimizers,
    plans_of,
    rates_at,
)
from runner.language.loss_tables import loss_tables
from runner.language.plugins import is_own
from runner.language.recipe import Recipe
from runner.plan import Plan
from runner.progress import Horizon
from runner.statistics import SplitStatistics, Statistics

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1 - 1e-9)
"""The last is just before the end: at the end itself a restart would begin anew."""

UNKNOWN = "depends on the steps of an epoch"
_ITEMS = 100
"""What a figure is told for where nobody has counted the data's items."""


@dataclass(frozen=True)
class Fact:
    """One thing that follows.

    Attributes:
        name: as it is shown.
        value: in words.
        note: what it means, where that is not plain; empty where it is.
    """

    name: str
    value: str
    note: str = ""


def facts(
    recipe: Recipe, statistics: Statistics | None = None, shared: Collection[str] = ()
) -> list[Fact]:
    """Return what follows from a recipe's values.

    Args:
        recipe: at the scale that is asked for.
        statistics: of its data; None where they have not been measured.
        shared: losses whose class weights are told under their own names, wherever they stand, so
            that they can be held against those of another recipe.
    Raises: RecipeError: the schedule does not fit into the training.
    """
    plans = plans_of(recipe, counted(recipe, statistics))
    return [
        *course_facts(recipe, statistics),
        *_rates(recipe, plans),
        *_weights(recipe, statistics, shared),
        *_losses(recipe),
    ]


def course_facts(recipe: Recipe, statistics: Statistics | None = None) -> list[Fact]:
    """Return of all that follows what is no learning rate, class weight or loss."""
    train = recipe.train
    plans = plans_of(recipe, counted(recipe, statistics))
    length = (
        number_of(train.epochs, "epochs")
        if train.epochs is not None
        else number_of(train.steps or 0, "steps")
    )
    found = [
        _effective_batch(recipe, plans),
        Fact("length", length),
        *_lengths(recipe, plans),
        *_warmup(recipe, plans),
        *_cycles(recipe, plans),
        *_patience(recipe, plans),
    ]
    if train.ema is not None:
        steps = number_of(round(1 / (1 - train.ema.decay)), "steps", ",")
        found.append(Fact("weights are averaged over", f"about the last {steps}"))
    return [*found, *_done(recipe, statistics)]


def _effective_batch(recipe: Recipe, plans: Sequence[Plan]) -> Fact:
    """Return the samples of an optimizer step; an epoch's end cuts it short, where it is known."""
    written = recipe.train.batch_size * recipe.train.accumulate
    found = min(plan.effective_batch for plan in plans)
    note = f"not {written}: a step ends with its epoch" if found < written else ""
    return Fact("effective batch", str(found), note)


def counted(recipe: Recipe, statistics: Statistics | None) -> SplitStatistics | None:
    """Return figures of the training split; a sample's say nothing of the data at full scale."""
    if statistics is None:
        return None
    is_sample = statistics.root.startswith("sample:")
    return None if is_sample and recipe.scale == "full" else statistics.splits.get("train")


def rates(recipe: Recipe) -> list[float | None]:
    """Return the learning rate at each quarter; None where it depends on the data's size."""
    return rates_at(recipe, plans_of(recipe), QUARTERS)


def _lengths(recipe: Recipe, plans: Sequence[Plan]) -> Iterator[Fact]:
    yield Fact("steps of an epoch", _told(recipe, plans, lambda plan: plan.steps_per_epoch))
    steps = _told(recipe, plans, lambda plan: plan.written_steps)
    if (limit := recipe.train.compress_to_steps) is not None:
        note = f"the whole plan of {steps} steps, compressed"
        yield Fact("optimizer steps", _told(recipe, plans, lambda plan: plan.steps), note)
        assert all(plan.steps <= limit for plan in plans), limit
    else:
        yield Fact("optimizer steps", steps)
    counts = {plan.evaluations for plan in plans}
    yield Fact("evaluations", str(counts.pop()) if len(counts) == 1 else UNKNOWN)


def _told(recipe: Recipe, plans: Sequence[Plan], figure: Callable[[Plan], float]) -> str:
    """Return a figure of the plan; for a hundred items where it grows with their number."""
    values = [figure(plan) for plan in plans]
    if len(set(values)) == 1:
        return f"{values[0]:.0f}"
    if is_own(recipe.sampler.factory):
        return UNKNOWN
    steps = values[0] / plans[0].steps_per_epoch * _ITEMS * draws_per_item(recipe)
    batch = recipe.train.batch_size * recipe.train.accumulate
    told = steps / batch
    shown = f"{told:,.0f}" if told >= _ITEMS else f"{told:.3g}"
    return f"{shown} per {_ITEMS} {counted_items(recipe)}"


def _rates(recipe: Recipe, plans: Sequence[Plan]) -> Iterator[Fact]:
    for fraction, rate in zip(QUARTERS, rates_at(recipe, plans, QUARTERS), strict=True):
        value = UNKNOWN if rate is None else f"{rate:.3g}"
        yield Fact(f"learning rate at {fraction:.0%}", value)
    for name, part in own_optimizers(recipe).items():
        rates = rates_at(recipe, plans, QUARTERS, part)
        for fraction, rate in zip(QUARTERS, rates, strict=True):
            value = UNKNOWN if rate is None else f"{rate:.3g}"
            yield Fact(f"learning rate of {name} at {fraction:.0%}", value)


def _in_written_steps(duration: Any, plan: Plan, recipe: Recipe) -> float:
    horizon = Horizon(plan.written_steps, plan.written_epochs, 1.0, recipe.monitor.mode)
    return float(duration.in_steps(horizon))


def _warmup(recipe: Recipe, plans: Sequence[Plan]) -> Iterator[Fact]:
    warmup = getattr(recipe.schedule.params, "warmup", None)
    if warmup is None:
        return
    shares = [_in_written_steps(warmup, plan, recipe) / plan.written_steps for plan in plans]
    written = {unit: value for unit, value in warmup.model_dump().items() if unit != "fraction"}
    told = [number_of(value, unit, "g") for unit, value in written.items()]
    if len({f"{share:.3g}" for share in shares}) == 1:
        told.append(f"{percent(shares[0])} of the training")
    text = ", ".join(told)
    yield Fact("warm-up", text)


def _cycles(recipe: Recipe, plans: Sequence[Plan]) -> Iterator[Fact]:
    lengths = cycle_epochs(recipe, plans)
    if lengths:
        *first, last = lengths
        told = [*(f"{length:g}" for length in first), number_of(last, "epochs", "g")]
        yield Fact("cycles of the learning rate", ", ".join(told))


def cycle_epochs(recipe: Recipe, plans: Sequence[Plan]) -> list[float]:
    """Return the epochs of each cosine of a schedule with restarts; none where not known."""
    first = getattr(recipe.schedule.params, "first", None)
    if first is None or (len(plans) > 1 and first.steps is not None):
        return []
    params: Any = recipe.schedule.params
    plan = plans[0]
    warmup = _in_written_steps(params.warmup, plan, recipe) if params.warmup else 0.0
    length = _in_written_steps(first, plan, recipe)
    lengths: list[float] = []
    for each in accumulate(repeat(params.multiplier), lambda a, b: a * b, initial=length):
        left = plan.written_steps - warmup - sum(lengths)
        # Beyond so many they are no longer read.
        if left < 1e-6 or len(lengths) == 8:
            break
        lengths.append(min(each, left))
    return [each / plan.steps_per_epoch for each in lengths]


def _patience(recipe: Recipe, plans: Sequence[Plan]) -> Iterator[Fact]:
    """Yield how long a training goes on without getting better, and a schedule waits."""
    stopping, every = recipe.train.early_stopping, recipe.train.evaluate_every
    unit, each = ("epochs", every.epochs) if every.epochs else ("steps", every.steps or 1)
    if stopping is not None:
        lasts = stopping.patience * each
        yield Fact("patience", number_of(lasts, unit))
        if unit == "epochs":
            told = _told(recipe, plans, lambda plan: lasts * plan.steps_per_epoch)
            yield Fact("patience in steps", told)
        cycles = cycle_epochs(recipe, plans)
        if cycles and unit == "epochs":
            share = lasts / max(cycles)
            note = "less than a cycle: it may end while the rate is still falling"
            text = f"{share:.0%} of it ({lasts} of {number_of(max(cycles), 'epochs', 'g')})"
            yield Fact("patience and longest cycle", text, note if share < 1 else "")
    schedule: Any = recipe.schedule.params
    if recipe.schedule.name == "plateau":
        text = f"{number_of((schedule.patience + 1) * each, unit)} without improvement"
        yield Fact(f"learning rate x {schedule.factor:g} after", text)
        if stopping is not None:
            falls = stopping.patience // (schedule.patience + 1)
            yield Fact("times that it falls before patience ends", str(falls))


def _done(recipe: Recipe, statistics: Statistics | None) -> Iterator[Fact]:
    params: Any = recipe.sampler.params
    if recipe.sampler.name != "sequential_points":
        return
    shares = {"regression": 0.0, "classification": 0.5, "balanced": params.done_share or 0.5}
    text = "one in N + 1 of an image with N objects"
    measured = statistics.figures.get("done_share") if statistics else None
    if params.done_mode in shares:
        text = percent(shares[params.done_mode])
    elif measured is not None:
        text = f"{percent(measured)}, {text}"
    yield Fact("draws that are done", text)


def _weights(
    recipe: Recipe, statistics: Statistics | None, shared: Collection[str]
) -> Iterator[Fact]:
    if statistics is None:
        return
    for table in weight_tables(recipe, statistics, with_alike=True):
        place = table.loss if table.loss in shared else table.place
        for row in table.rows:
            if row.pull is not None and row.share is not None:
                note = f"it has {percent(row.share)} of the {statistics.unit}"
                yield Fact(f"weight of {row.name} in {place}", percent(row.pull), note)


def percent(share: float) -> str:
    """Return a share as 12.3 %."""
    return f"{100 * share:.3g} %"


def _losses(recipe: Recipe) -> Iterator[Fact]:
    for table in loss_tables(recipe):
        for row in table.rows:
            text = f"{row.value:.3g}, gradient {row.gradient:.3g}"
            yield Fact(f"loss at {row.error_px:g} px of {table.edge_px:g}", text)
