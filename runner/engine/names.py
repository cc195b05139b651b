"""Whether what a recipe monitors, expects and watches is measured at all, before the training."""

from collections.abc import Sequence
from typing import Any

from runner.contracts import HealthRule, Metric
from runner.errors import RecipeError
from runner.language.figures import misnamed, named_twice
from runner.language.load import Loaded
from runner.registry import Part, metrics, tasks


def check_figures(
    loaded: Loaded,
    classes: Sequence[str],
    built: Sequence[Metric],
    rules: Sequence[tuple[str, HealthRule]],
) -> None:
    """Refuse names of figures that nothing in the recipe gives, or two metrics.

    Args:
        loaded: the recipe, at the scale that it is run at.
        classes: of its data.
        built: its metrics. Where one does not say what it gives, no name is refused.
        rules: name and health rule of those in force.
    Raises: RecipeError: every such name, with the nearest that there is.
    """
    recipe = loaded.recipe
    pairs = zip(recipe.metrics, built, strict=True)
    given = [_given(part, metric, classes) for part, metric in pairs]
    of_task = tasks.foretold(recipe.task, classes)
    problems = [
        *named_twice(given),
        *misnamed(loaded.source, recipe, given, of_task, rules),
    ]
    if problems:
        raise RecipeError(problems)


def _given(part: Part[Any], metric: Metric, classes: Sequence[str]) -> Sequence[str] | None:
    """Return what a metric gives: as its part was declared to, or as it says itself."""
    declared: Sequence[str] | None = metrics.foretold(part, classes)
    return declared if declared is not None else getattr(metric, "names", None)
