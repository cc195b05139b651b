"""Which classes a recipe's sampler seeks, so that they need no weight to be seen."""

from __future__ import annotations

from collections.abc import Sequence

from runner.language.recipe import Recipe
from runner.language.walk import parts_of
from runner.registry import samplers


def is_sought(recipe: Recipe, occurring: Sequence[str], name: str) -> bool:
    """Whether the sampler seeks a class.

    Args:
        recipe: whose sampler.
        occurring: classes of the data, in the order of their indices; the first is the background.
        name: of one of them.
    """
    of_foreground = [samplers[each].factory for each in ("foreground_patches", "balanced_patches")]
    for _, part in parts_of(recipe):
        if part.factory is samplers["rare_class_crops"].factory:
            params = dict(part.params)
            if name in params["classes"] and params["probability"]:
                return True
        elif part.factory in of_foreground and name != occurring[0]:
            return True
    return False
