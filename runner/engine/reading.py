"""The data set of a recipe, read; torch is not imported for it."""

from pathlib import Path

from runner.contracts import Data, DataContext
from runner.data.samples import sample_folder
from runner.language.folders import SAMPLE_PREFIX
from runner.language.known import analysis_at_hand, analyze_command
from runner.language.load import Loaded
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


def change_since_analysis(loaded: Loaded, machine: Machine, data: Data) -> str:
    """Return what to tell the user where the data are no longer those that were analyzed.

    Args:
        loaded: what is trained.
        machine: whose runs folder holds analyses.
        data: as they are now.
    """
    runs = Path(machine.runs).expanduser()
    folder = analysis_folder(runs, loaded.name)
    # One of the recipe's name may be of an earlier data block: then its data have changed, too.
    found = analysis_at_hand(loaded, runs) or (folder, read_analysis(folder))
    folder, known = found
    is_of_data = known is not None and known.root == loaded.recipe.root
    if known is None or not is_of_data or known.fingerprint == data.fingerprint:
        return ""
    return (
        f"warning: the data, or their splits, are not those of {folder / 'analysis.json'} any "
        f"more; what was derived from it may not fit: {analyze_command(loaded)}"
    )


def _located(root: str, machine: Machine, cache: Path) -> Path:
    if root.startswith(SAMPLE_PREFIX):
        return sample_folder(root, cache)
    return machine.root(root)
