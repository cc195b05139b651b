"""Figures of a recipe's data, where somebody has measured them."""

from pathlib import Path

from runner.language.load import SAMPLE_PREFIX, Loaded
from runner.language.recipe import Recipe
from runner.statistics import Statistics, analysis_folder, read_analysis, read_statistics

_OF_SAMPLES = Path(__file__).parents[2] / "data" / "samples" / "statistics"


def statistics_of(loaded: Loaded, runs: Path) -> Statistics | None:
    """Return what was measured of a recipe's data.

    Args:
        loaded: the recipe.
        runs: folder that holds what ``runner analyze`` has left.
    Returns: None where nothing was measured, or of other data or other classes.
    """
    recipe = loaded.recipe
    if recipe.root.startswith(SAMPLE_PREFIX):
        name = recipe.root.removeprefix(SAMPLE_PREFIX).partition(":")[0]
        found = read_statistics(_OF_SAMPLES / f"{name}.json")
    else:
        found = read_analysis(analysis_folder(runs, loaded.name))
        if found is not None and found.root != recipe.root:
            return None
    return found if found is not None and _is_of(found, recipe) else None


def _is_of(found: Statistics, recipe: Recipe) -> bool:
    """Whether figures are of such a data set with such classes, as far as the recipe names them."""
    written = getattr(recipe.data.params, "classes", None)
    names = [name for name in written or () if name != "ignore"]
    return found.dataset == recipe.data.name and (not names or names == list(found.classes))
