"""The values of a checked recipe one by one: each part with its key, and who reads a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from runner.language.document import Key
from runner.language.recipe import Recipe, Rule
from runner.registry import Part


@dataclass(frozen=True)
class Reading:
    """A value of a recipe and who reads it.

    Attributes:
        value: as it was checked.
        part: the part whose factory takes it; None where the runner itself reads it.
        parameter: of the factory, or the field of the recipe.
        description: of that parameter; empty where it has none.
        owner: the mapping that the parameter belongs to, where that is no part.
    """

    value: Any
    part: Part[Any] | None = None
    parameter: str = ""
    description: str = ""
    owner: BaseModel | None = None


def parts_of(recipe: Recipe) -> Iterator[tuple[Key, Part[Any]]]:
    """Yield each part that a recipe names, the outer before the inner, with its key."""
    yield from parts_below(recipe, ())


def parts_below(value: Any, key: Key) -> Iterator[tuple[Key, Part[Any]]]:
    """Yield each part that a value holds, or is.

    Args:
        value: of a recipe.
        key: of the value.
    """
    inner: Iterable[tuple[str | int, Any]]
    if isinstance(value, Part):
        yield key, value
        yield from parts_below(value.params, (*key, "params"))
        return
    if isinstance(value, Rule):
        # A recipe writes a rule's values below its name, without ``params``.
        yield key, value.part
        return
    if isinstance(value, BaseModel):
        inner = ((_written(value, name), each) for name, each in value)
    elif isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list | tuple):
        inner = enumerate(value)
    else:
        return
    for name, each in inner:
        if not isinstance(each, str | int | float | None):
            yield from parts_below(each, (*key, name))


def reading_of(recipe: Recipe, key: Key) -> Reading | None:
    """Return the value at a key and who reads it; None where there is no such key."""
    reading: Reading | None = Reading(recipe)
    for name in key:
        reading = reading_below(reading, str(name)) if reading else None
    return reading


def names_at(reading: Reading) -> list[str]:
    """Return the keys below a value."""
    value = reading.value
    if isinstance(value, Part):
        return ["name", "params"]
    if isinstance(value, Rule):
        return [*(_written(value.part.params, name) for name, _ in value.part.params), "scale"]
    if isinstance(value, BaseModel):
        return [_written(value, name) for name, _ in value]
    if isinstance(value, Mapping):
        return list(value)
    return [str(n) for n in range(len(value))] if isinstance(value, list | tuple) else []


def reading_below(reading: Reading, name: str) -> Reading | None:
    """Return the value at a key of a value; None where there is no such key."""
    value = reading.value
    if name not in names_at(reading):
        return None
    if isinstance(value, Part):
        if name == "name":
            return Reading(value.name, value, "", _summary(value))
        return Reading(value.params, value, "", _summary(value))
    if isinstance(value, Rule):
        if name == "scale":
            return Reading(value.scale, None, "scale")
        return _field(Reading(value.part.params, value.part), value.part.params, name)
    if isinstance(value, BaseModel):
        return _field(reading, value, name)
    inner = value[name] if isinstance(value, Mapping) else value[int(name)]
    return replace(reading, value=inner)


def _field(reading: Reading, model: BaseModel, name: str) -> Reading:
    field = next(each for each, _ in model if _written(model, each) == name)
    info = type(model).model_fields[field]
    own = reading.part is not None and reading.part.params is model
    parameter = name if own or reading.part is None else reading.parameter
    description = info.description or ("" if own else reading.description)
    return Reading(getattr(model, field), reading.part, parameter, description, model)


def _summary(part: Part[Any]) -> str:
    return (part.factory.__doc__ or "").strip().split("\n", 1)[0]


def _written(model: BaseModel, field: str) -> str:
    return type(model).model_fields[field].alias or field
