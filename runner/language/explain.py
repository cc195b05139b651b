"""A recipe explained: what follows from its values, at the scale that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.counting import number_of
from runner.errors import Problem, RecipeError
from runner.language.class_weights import WeightTable, weight_tables
from runner.language.course import agreed, own_optimizers, plans_of, rates_at
from runner.language.facts import QUARTERS, Fact, counted, course_facts
from runner.language.known import analyze_command, statistics_at_hand
from runner.language.load import Loaded, load
from runner.language.loss_tables import LossTable, loss_tables
from runner.language.recipe import Recipe, Scale
from runner.plan import Plan
from runner.progress import steps_until
from runner.statistics import Statistics

CURVE_POINTS = 200


@dataclass(frozen=True)
class RatePoint:
    """The learning rate at one moment.

    Attributes:
        fraction: of the training.
        step: steps done; None where it depends on the steps of an epoch.
        rate: at that moment; None likewise.
        of_highest: the rate as a share of the highest of the training.
        of_task: the rates of optimizers that the task brings, by the ends of their keys.
    """

    fraction: float
    step: int | None
    rate: float | None
    of_highest: float | None
    of_task: dict[str, float | None]


@dataclass(frozen=True)
class Explanation:
    """Everything that ``runner explain RECIPE`` shows without torch.

    Attributes:
        name: of the recipe.
        base: name of the recipe that it extends; empty where there is none to compare with.
        scale: that it is explained at.
        summary: its own.
        data: whose figures were at hand; empty where none were.
        needs: what to do for the facts that are missing; empty where none are.
        facts: what follows.
        base_facts: the same of the base, by name; at full scale alone.
        rates: at the quarters, and where asked.
        curve: learning rates from start to end; empty where they are not known.
        falls_when_stuck: whether the rate depends on how the training goes.
        weights: of classes, a table for each loss that has such.
        losses: of distances, a table for each.
        base_losses: those of the base.
    """

    name: str
    base: str
    scale: Scale
    summary: str
    data: str
    needs: str
    facts: tuple[Fact, ...]
    base_facts: dict[str, str]
    rates: tuple[RatePoint, ...]
    curve: tuple[float, ...]
    falls_when_stuck: bool
    weights: tuple[WeightTable, ...]
    losses: tuple[LossTable, ...]
    base_losses: tuple[LossTable, ...]


def load_at(reference: str, scale: Scale | None, sets: Sequence[str] = ()) -> Loaded:
    """Load a recipe at a scale; as written, or as a run had it, where None.

    Raises: RecipeError: it cannot be read, or has no such scale.
    """
    loaded = load(reference, sets=sets, is_smoke=scale == "smoke", is_full=scale in (None, "full"))
    if scale is not None and loaded.scale != scale:
        message = f"{loaded.name} has no scale {scale}, only {loaded.scale}; leave it out"
        raise RecipeError(Problem("--scale", "", message))
    return loaded


def explain(loaded: Loaded, runs: Path | None, at: Sequence[str] = ()) -> Explanation:
    """Return what follows from a recipe.

    Args:
        loaded: at the scale that is asked for.
        runs: folder in which ``runner analyze`` leaves what it measured.
        at: steps, or shares such as 8%, at which the learning rate is asked for.
    Raises: RecipeError: the schedule does not fit, or a step is beyond the training.
    """
    recipe = loaded.recipe
    statistics = statistics_at_hand(loaded, runs)
    plans = plans_of(recipe, counted(recipe, statistics))
    base = loaded.base if loaded.scale == "full" else None
    fractions = [number / (CURVE_POINTS - 1) for number in range(CURVE_POINTS - 1)]
    curve = rates_at(recipe, plans, [*fractions, QUARTERS[-1]])
    known = [rate for rate in curve if rate is not None]
    return Explanation(
        name=loaded.name,
        base=base.name if base else "",
        scale=loaded.scale,
        summary=recipe.summary,
        data=_whose(recipe, statistics),
        needs=_needs(loaded, statistics, plans),
        facts=tuple(course_facts(recipe, statistics)),
        base_facts=_facts_of(base, runs) if base else {},
        rates=tuple(_rates(recipe, plans, at, max(known, default=0.0))),
        curve=tuple(known) if len(known) == CURVE_POINTS else (),
        falls_when_stuck=recipe.schedule.name == "plateau",
        weights=tuple(weight_tables(recipe, statistics)),
        losses=tuple(loss_tables(recipe)),
        base_losses=tuple(loss_tables(base.recipe)) if base else (),
    )


def _facts_of(base: Loaded, runs: Path | None) -> dict[str, str]:
    statistics = statistics_at_hand(base, runs)
    try:
        return {fact.name: fact.value for fact in course_facts(base.recipe, statistics)}
    except RecipeError:
        # The base does not fit the data, which the recipe itself may have mended.
        return {}


def _rates(
    recipe: Recipe, plans: Sequence[Plan], at: Sequence[str], highest: float
) -> list[RatePoint]:
    """Return the rate at the quarters, and where asked, in order."""
    fractions = {fraction: "" for fraction in QUARTERS}
    fractions |= {_fraction(text, plans): text for text in at}
    brought = own_optimizers(recipe)
    found = []
    for fraction in sorted(fractions):
        rate = rates_at(recipe, plans, [fraction])[0]
        steps = {steps_until(fraction, plan.steps) for plan in plans}
        share = rate / highest if rate is not None and highest else None
        own = {name: rates_at(recipe, plans, [fraction], part)[0] for name, part in brought.items()}
        step = steps.pop() if len(steps) == 1 else None
        found.append(RatePoint(fraction, step, rate, share, own))
    return found


def _fraction(text: str, plans: Sequence[Plan]) -> float:
    """Return a step, or a share such as 8%, as a fraction of the training."""
    steps = agreed(plans, lambda plan: plan.steps)
    number = text.removesuffix("%")
    wrong = ""
    if not number.isdecimal():
        wrong = "is neither a step nor a share: write 4000, or 8%"
    elif text != number:
        fraction = int(number) / 100
    elif steps is None:
        wrong = "cannot be placed: the steps of an epoch are not known; write a share, such as 8%"
    else:
        fraction = int(number) / steps
    if not wrong and fraction > 1:
        wrong = "is beyond the end of the training; name an earlier one"
    if wrong:
        raise RecipeError(Problem(f"--at {text}", "", wrong))
    return min(fraction, QUARTERS[-1])


def _whose(recipe: Recipe, statistics: Statistics | None) -> str:
    """Return in words whose figures of the data are at hand."""
    if statistics is None:
        return ""
    items = f"{number_of(statistics.items.get('train', 0), 'items')} to train on"
    if not statistics.root.startswith("sample:"):
        return f"{statistics.root}, {items}, as runner analyze measured them"
    if recipe.scale != "full":
        return f"the embedded {statistics.root}, {items}"
    return f"shares are those of the embedded {statistics.root}, made after the author's"


def _needs(loaded: Loaded, statistics: Statistics | None, plans: Sequence[Plan]) -> str:
    """Return the command that tells what is missing; empty where nothing is."""
    is_own = statistics is not None and not statistics.root.startswith("sample:")
    missing = ["steps"] if len(plans) > 1 else []
    if statistics is None or len(statistics.classes) > 1:
        missing.append("shares")
    if is_own or loaded.scale != "full" or not missing:
        return ""
    where = " --data DIR" if loaded.recipe.root.startswith("sample:") else ""
    return f"{' and '.join(missing)} of your data: {analyze_command(loaded)}{where}"
