"""What a lint looks at: a recipe's parts with their keys, its base, and figures of its data."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from runner.language.class_weights import WeightTable, weight_tables
from runner.language.document import Key
from runner.language.load import Loaded
from runner.language.recipe import Recipe
from runner.language.walk import parts_of
from runner.registry import Part, Registry
from runner.statistics import Statistics


@dataclass(frozen=True)
class Placed:
    """A part and where it stands.

    Attributes:
        key: of the part.
        part: as the recipe has it.
    """

    key: Key
    part: Part[Any]

    @property
    def params(self) -> Any:
        """The part's checked values, by attribute."""
        return self.part.params

    def at(self, *names: str | int) -> Key:
        """Return the key of one of its params."""
        return (*self.key, "params", *names)


@dataclass(frozen=True)
class Subject:
    """A recipe under a lint's eye.

    Attributes:
        loaded: the recipe, with its base and the line of every key.
        statistics: what was measured of its data; None where nothing was, or of other data.
    """

    loaded: Loaded
    statistics: Statistics | None = None

    @property
    def recipe(self) -> Recipe:
        """The recipe as it is run."""
        return self.loaded.recipe

    @cached_property
    def base(self) -> Recipe | None:
        """The recipe that it extends; None for a root."""
        return self.loaded.base.recipe if self.loaded.base else None

    @cached_property
    def weight_tables(self) -> list[WeightTable]:
        """The class weights of each loss that has some, beside what was measured."""
        return weight_tables(self.recipe, self.statistics)

    def parts(self, registry: Registry[Any], *names: str) -> list[Placed]:
        """Return the recipe's parts of these names, or all of a kind where none is given.

        A part is known by its factory, not by its name in the file: a name that no part has any
        more is a KeyError at the first recipe, and never a lint that is silent for ever.
        """
        factories = [registry[name].factory for name in names or registry]
        return [each for each in self._placed if each.part.factory in factories]

    def is_own(self, key: Key) -> bool:
        """Whether the recipe's own file, or ``--set``, writes a value, and no base of it."""
        source = self.loaded.source
        if str(source.places.get(key, "")).startswith("--set "):
            return True
        value: Any = source.own
        for name in key:
            if not isinstance(value, Mapping) or name not in value:
                return False
            value = value[name]
        return True

    @cached_property
    def _placed(self) -> list[Placed]:
        return [Placed(key, part) for key, part in parts_of(self.recipe)]
