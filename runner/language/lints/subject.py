"""What a lint looks at: a recipe's parts with their keys, its base, and figures of its data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from runner.language.document import Key
from runner.language.load import Loaded
from runner.language.recipe import Recipe
from runner.registry import Part, Registry
from runner.statistics import Statistics

_BLOCKS = ("data", "task", "sampler", "optimizer", "schedule", "metrics")
"""Where a recipe names parts; health rules judge the run, not the recipe."""


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

    def parts(self, registry: Registry[Any], *names: str) -> list[Placed]:
        """Return the recipe's parts of these names, or all of a kind where none is given.

        A part is known by its factory, not by its name in the file: a name that no part has any
        more is a KeyError at the first recipe, and never a lint that is silent for ever.
        """
        factories = [registry[name].factory for name in names or registry]
        return [each for each in self._placed if each.part.factory in factories]

    @cached_property
    def _placed(self) -> list[Placed]:
        recipe = self.recipe
        return [each for name in _BLOCKS for each in _parts_in(getattr(recipe, name), (name,))]


def _parts_in(value: Any, key: Key) -> Iterator[Placed]:
    if isinstance(value, Part):
        yield Placed(key, value)
        yield from _parts_in(value.params, (*key, "params"))
    elif isinstance(value, BaseModel):
        for name, child in value:
            yield from _parts_in(child, (*key, name))
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield from _parts_in(child, (*key, name))
    elif isinstance(value, list | tuple):
        for number, child in enumerate(value):
            yield from _parts_in(child, (*key, number))
