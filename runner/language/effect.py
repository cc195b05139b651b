"""What a training makes of a written value: a sample's scale of the rate, a compressed plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.counting import number_of
from runner.errors import RecipeError
from runner.language.course import plans_of
from runner.language.document import Key
from runner.language.facts import counted
from runner.language.recipe import Recipe
from runner.statistics import Statistics

_RATES = (("optimizer", "params", "lr"), ("schedule", "params", "min_lr"))
_IN_STEPS = ("steps", "start_step")
_IN_EPOCHS = ("epochs", "by_epoch", "within_epochs")
_NUMBERS = (int, float)


def effect_on(recipe: Recipe, key: Key, value: Any, statistics: Statistics | None) -> str:
    """Return what becomes of a value as the recipe is run; empty where it is used as written.

    Args:
        recipe: at the scale that is asked for.
        key: of the value.
        value: plain data.
        statistics: of the recipe's data; None where they have not been measured.
    """
    if isinstance(value, Mapping):
        written = {name: each for name, each in value.items() if each is not None}
        name, value = next(iter(written.items())) if len(written) == 1 else ("", None)
        key = (*key, name)
    if not isinstance(value, _NUMBERS) or isinstance(value, bool):
        return ""
    scale = recipe.train.lr_scale
    if key in _RATES:
        is_scaled = scale != 1 and value
        return f"train.lr_scale makes {value * scale:.3g} of it" if is_scaled else ""
    is_length = key[-1] in (*_IN_STEPS, *_IN_EPOCHS) and key[0] != "data"
    return _compressed(recipe, key, value, statistics) if is_length else ""


def _compressed(recipe: Recipe, key: Key, value: float, statistics: Statistics | None) -> str:
    limit = recipe.train.compress_to_steps
    if limit is None:
        return ""
    try:
        plans = plans_of(recipe, counted(recipe, statistics))
    except RecipeError:
        return ""  # It cannot be trained; where a value comes from can be told all the same.
    if len(plans) > 1:
        length = number_of(limit, "steps")
        return f"train.compress_to_steps runs the whole plan in {length}: it keeps its share"
    (plan,) = plans
    if plan.steps == plan.written_steps:
        return ""
    written = value if key[-1] in _IN_STEPS else value * plan.steps_per_epoch
    steps = written * plan.steps / plan.written_steps
    share = f", of which this is {steps:.3g}" if written != plan.written_steps else ""
    return (
        f"train.compress_to_steps runs the plan of {number_of(plan.written_steps, 'steps')} in "
        f"{plan.steps}{share}"
    )
