"""Which figures of a recipe's data are at hand, without a look at the data."""

from __future__ import annotations

from pathlib import Path

from runner.language.class_weights import named_classes
from runner.language.recipe import Recipe
from runner.statistics import Statistics, analysis_folder, read_analysis, read_sample_statistics


def statistics_at_hand(
    recipe: Recipe, name: str = "", runs: Path | None = None
) -> Statistics | None:
    """Return what ``runner analyze`` has measured, or else the committed figures of a sample.

    Args:
        recipe: whose data; its scale decides whether another root's figures may stand for them.
        name: of the recipe, by which an analysis is filed.
        runs: folder of the analyses; none is looked for where None.
    """
    analyzed = read_analysis(analysis_folder(runs, name)) if runs is not None else None
    if analyzed is not None and _fits(recipe, analyzed):
        # An analysis with --data speaks of the user's data, where the recipe names a sample.
        is_in_place = recipe.scale == "full" and recipe.root.startswith("sample:")
        is_of_user = is_in_place and not analyzed.root.startswith("sample:")
        if analyzed.root == recipe.root or is_of_user:
            return analyzed
    sample = read_sample_statistics(recipe.root)
    return sample if sample is not None and _fits(recipe, sample) else None


def _fits(recipe: Recipe, statistics: Statistics) -> bool:
    named = named_classes(recipe)
    if named and named != list(statistics.classes):
        return False
    return statistics.dataset == recipe.data.name
