"""Whether what a recipe monitors, expects and watches is measured at all, before the training."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from runner.contracts import HealthRule, Metric
from runner.errors import Problem, RecipeError
from runner.language.recipe import Recipe
from runner.registry import suggestion


def check_metric_names(
    recipe: Recipe, metrics: Sequence[Metric], health: Sequence[tuple[str, HealthRule]]
) -> None:
    """Refuse names that no metric of the recipe gives.

    Args:
        recipe: at the scale that it is run at.
        metrics: built for its data. Where one does not say its ``names``, nothing is refused.
        health: name and rule of those in force.
    Raises: RecipeError: every such name, with the nearest that there is.
    """
    if not all(hasattr(metric, "names") for metric in metrics):
        return
    own = [f"val/{name}" for metric in metrics for name in getattr(metric, "names", ())]
    known = dict.fromkeys(["val/loss", *own])
    problems = [
        Problem("", key, f"no metric of this recipe gives {name}; {suggestion(name, known)}")
        for key, name in _asked_for(recipe, health)
        if name.startswith("val/") and not any(fnmatchcase(each, name) for each in known)
    ]
    if problems:
        raise RecipeError(problems)


def _asked_for(
    recipe: Recipe, health: Sequence[tuple[str, HealthRule]]
) -> Iterator[tuple[str, str]]:
    """Yield key and name of every metric that the recipe speaks of."""
    yield "monitor.metric", recipe.monitor.metric
    for number, expectation in enumerate(recipe.expect):
        if expectation.scale == recipe.scale:
            yield f"expect.{number}.metric", expectation.metric
    for name, rule in health:
        for pattern in getattr(rule, "reads", ()):
            yield f"health.{name}", pattern
