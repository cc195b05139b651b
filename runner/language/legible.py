"""What can be read of a recipe that is wrong elsewhere, so that all is told at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from runner.errors import RecipeError
from runner.language.overlay import Source
from runner.language.recipe import Expectation, Monitor, Recipe, rules_of
from runner.language.references import resolve
from runner.registry import datasets, metrics, samplers, tasks

_READ: dict[str, Callable[[Any], Any]] = {
    "scale": str,
    "data": datasets.parse,
    "task": tasks.parse,
    "sampler": samplers.parse,
    "metrics": lambda parts: [_sound_metric(part) for part in parts],
    "monitor": Monitor.model_validate,
    "expect": lambda rows: [Expectation.model_validate(row) for row in rows],
}


def legible(source: Source) -> Recipe:
    """Return a recipe of those sections of a source that are sound; the others it lacks.

    It is no recipe to train: only what speaks of classes and figures is read.
    """
    try:
        data: Mapping[str, Any] = resolve(source).data
    except RecipeError:
        data = source.data
    sections = {}
    for name, read in _READ.items():
        # What is wrong with it is told by those who check the recipe.
        with suppress(KeyError, TypeError, ValidationError, PydanticCustomError):
            sections[name] = read(data[name])
    return Recipe.model_construct(**sections, health=_sound_rules(data.get("health")))


def _sound_metric(block: Any) -> Any:
    with suppress(ValidationError, PydanticCustomError):
        return metrics.parse(block)
    return None


def _sound_rules(block: Any) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    for name, values in block.items() if isinstance(block, Mapping) else ():
        with suppress(ValidationError):
            rules |= rules_of({name: values})
    return rules
