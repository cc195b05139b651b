"""The course that a recipe's training takes: its plan, and the learning rate along it."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from runner.errors import RecipeError
from runner.language.plugins import is_own
from runner.language.recipe import Recipe
from runner.language.walk import parts_of
from runner.plan import Plan, make_plan
from runner.progress import Horizon
from runner.registry import Part, optimizers
from runner.statistics import SplitStatistics

_STEPS_PER_EPOCH = (1000, 77)
"""Two guesses: what is the same under both does not depend on how many samples there are."""

_DRAWS_PER_ITEM = ("crops_per_image", "patches_per_volume")
_STREAMS = "labelled_per_batch"

Rate = Callable[..., float]
"""The learning rate after so many steps and, for plateau schedules, evaluations."""


def plan_of(recipe: Recipe, draws_per_epoch: int, processes: int = 1) -> Plan:
    """Return the plan of a recipe whose sampler draws so many samples an epoch."""
    train = recipe.train
    return make_plan(
        draws_per_epoch=draws_per_epoch,
        batch_size=train.batch_size,
        accumulate=train.accumulate,
        drop_last=train.drop_last,
        epochs=train.epochs,
        steps=train.steps,
        compress_to_steps=train.compress_to_steps,
        evaluate_every_epochs=train.evaluate_every.epochs,
        evaluate_every_steps=train.evaluate_every.steps,
        log_every=train.log_every,
        processes=processes,
    )


def plans_of(recipe: Recipe, train: SplitStatistics | None = None) -> list[Plan]:
    """Return the plan; two that differ in the steps of an epoch where these are not known.

    Args:
        recipe: whose plan.
        train: figures of the training split; None where it has not been counted.
    Raises: RecipeError: there are too few items for a batch.
    """
    if (draws := draws_per_epoch(recipe, train)) is not None:
        return [plan_of(recipe, draws)]
    return [plan_of_steps(recipe, steps) for steps in _STEPS_PER_EPOCH]


def plan_of_steps(recipe: Recipe, steps_per_epoch: int) -> Plan:
    """Return the plan of a recipe whose epochs have so many optimizer steps."""
    return plan_of(recipe, steps_per_epoch * recipe.train.batch_size * recipe.train.accumulate)


def draws_per_epoch(recipe: Recipe, train: SplitStatistics | None) -> int | None:
    """Return how many samples an epoch draws; None where nobody can tell without the data."""
    params, batch = dict(recipe.sampler.params), recipe.train.batch_size
    has_streams = _STREAMS in params
    if written := params.get("draws_per_epoch"):
        draws = int(written)
    elif train is None or is_own(recipe.sampler.factory):
        return None
    else:
        items = train.items - train.labelled if has_streams else train.items
        draws = math.ceil(items * draws_per_item(recipe) - 1e-9)
    # Streams end with a whole batch.
    return -(-draws // batch) * batch if has_streams else draws


def draws_per_item(recipe: Recipe) -> float:
    """Return how many draws an epoch has for each item that it counts by.

    That is an unlabelled one where labelled ones are drawn beside them, else any.
    """
    params, batch = dict(recipe.sampler.params), recipe.train.batch_size
    if _STREAMS in params:
        labelled = params[_STREAMS] or batch // 2
        return batch / max(batch - labelled, 1)
    return float(next((params[name] for name in _DRAWS_PER_ITEM if name in params), 1))


def counted_items(recipe: Recipe) -> str:
    """Return which items ``draws_per_item`` is about."""
    return "unlabelled items" if hasattr(recipe.sampler.params, _STREAMS) else "training items"


def base_rate(recipe: Recipe) -> float:
    """Return the optimizer's learning rate."""
    params: Any = recipe.optimizer.params
    return float(params.lr)


def own_optimizers(recipe: Recipe) -> dict[str, Part[Any]]:
    """Return the optimizers that a task brings for parameters of its own, by their keys' ends."""
    brought = ((key, part) for key, part in parts_of(recipe) if key[0] == "task")
    return {
        str(key[-1]): part
        for key, part in brought
        if part.name in list(optimizers) and part.factory is optimizers[part.name].factory
    }


def learning_rate(recipe: Recipe, plan: Plan, own: Part[Any] | None = None) -> Rate:
    """Return the learning rate as a function of the steps done, and of evaluations.

    Args:
        recipe: whose schedule.
        plan: of its training.
        own: an optimizer that the task brings, which ``lr_scale`` leaves as it is; None for the
            recipe's.
    Raises: RecipeError: the schedule does not fit into the plan.
    """
    initial = base_rate(recipe) if own is None else float(dict(own.params)["lr"])
    scale = recipe.train.lr_scale if own is None else 1.0
    mode = recipe.monitor.mode
    horizon = Horizon(plan.written_steps, plan.written_epochs, initial, mode)
    schedule = recipe.schedule.build(horizon)

    def rate(step: float, monitored: tuple[tuple[float, float], ...] = ()) -> float:
        factor: float = schedule(plan.progress(step, monitored))
        return initial * factor * scale

    return rate


def rates_at(
    recipe: Recipe,
    plans: Sequence[Plan],
    fractions: Sequence[float],
    own: Part[Any] | None = None,
) -> list[float | None]:
    """Return the learning rate at fractions of the training; None where the plans disagree.

    Plateau schedules are shown as if the monitored metric improved at every evaluation. ``own`` is
    an optimizer that the task brings, in place of the recipe's.
    """
    try:
        found = [
            [rate(fraction * plan.steps) for fraction in fractions]
            for plan, rate in ((plan, learning_rate(recipe, plan, own)) for plan in plans)
        ]
    except RecipeError:
        if len(plans) == 1:
            raise
        # A horizon in steps that does not fit into a guess: only the data can tell.
        return [None] * len(fractions)
    return [rates[0] if _agree(rates) else None for rates in zip(*found, strict=True)]


def agreed(plans: Sequence[Plan], figure: Callable[[Plan], float]) -> float | None:
    """Return a figure of the plan; None where it depends on the steps of an epoch."""
    values = [figure(plan) for plan in plans]
    return values[0] if _agree(values) else None


def _agree(values: Sequence[float]) -> bool:
    return all(math.isclose(v, values[0], rel_tol=1e-3, abs_tol=1e-12) for v in values)
