"""The data set of a recipe, read; torch is not imported for it."""

from pathlib import Path

from runner.contracts import Data, DataContext
from runner.data.samples import sample_folder
from runner.language.load import SAMPLE_PREFIX
from runner.language.machine import Machine
from runner.language.recipe import Recipe


def read_data(recipe: Recipe, machine: Machine) -> Data:
    """Read the recipe's data set; an embedded sample is written first where it is not there.

    Raises: RecipeError: no such sample or root. DataError: the data are wrong.
    """
    cache = machine.cache_folder

    def locate(root: str) -> Path:
        if root.startswith(SAMPLE_PREFIX):
            return sample_folder(root, cache)
        return machine.root(root)

    data: Data = recipe.data.build(DataContext(locate, cache, recipe.train.seed))
    return data
