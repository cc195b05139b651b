"""The data set of a recipe, read; torch is not imported for it."""

from pathlib import Path

from runner.contracts import Data, DataContext
from runner.data.samples import sample_folder
from runner.language.folders import SAMPLE_PREFIX
from runner.language.machine import Machine
from runner.language.recipe import Recipe
from runner.statistics import analysis_folder, read_analysis


def read_data(recipe: Recipe, machine: Machine) -> Data:
    """Read the recipe's data set; an embedded sample is written first where it is not there.

    Raises: RecipeError: no such sample or root. DataError: the data are wrong.
    """
    cache = machine.cache_folder

    def locate(root: str) -> Path:
        return _located(root, machine, cache)

    data: Data = recipe.data.build(DataContext(locate, cache, recipe.train.seed))
    return data


def root_folder(recipe: Recipe, machine: Machine) -> Path:
    """Return the folder that the recipe's data lie in.

    Raises: RecipeError: no such sample or root.
    """
    return _located(recipe.root, machine, machine.cache_folder)


def change_since_analysis(name: str, recipe: Recipe, machine: Machine, data: Data) -> str:
    """Return what to tell the user where the data are no longer those that were analyzed.

    Args:
        name: of the recipe.
        recipe: what is trained.
        machine: whose runs folder holds analyses.
        data: as they are now.
    """
    folder = analysis_folder(Path(machine.runs).expanduser(), name)
    known = read_analysis(folder)
    if known is None or known.root != recipe.root or known.fingerprint == data.fingerprint:
        return ""
    return (
        f"warning: the data, or their splits, are not those of {folder / 'analysis.json'} any "
        f"more; what was derived from it may not fit: runner analyze {name}"
    )


def _located(root: str, machine: Machine, cache: Path) -> Path:
    if root.startswith(SAMPLE_PREFIX):
        return sample_folder(root, cache)
    return machine.root(root)
