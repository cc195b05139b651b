"""Where a value of a recipe was written, what it took the place of, and who reads it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import runner
from runner.errors import Problem, RecipeError
from runner.language.document import Key, dotted
from runner.language.effect import effect_on
from runner.language.known import statistics_at_hand
from runner.language.load import Loaded
from runner.language.overlay import Source, value_at
from runner.language.plugins import is_own
from runner.language.recipe import Rule, dump_rule
from runner.language.run_record import covering, overrides_of
from runner.language.source import read, shown_path
from runner.language.walk import Reading, names_at, reading_below, reading_of
from runner.registry import Part, suggestion

_NOT_READ = ("sample", "smoke", "changes", "observed")


@dataclass(frozen=True)
class Writing:
    """A value as one file, ``--set`` or the scale's block writes it.

    Attributes:
        place: file and line.
        value: plain data.
        because: why, where a published recipe says so.
    """

    place: str
    value: Any
    because: str = ""


@dataclass(frozen=True)
class Origin:
    """Everything that ``runner explain RECIPE KEY`` shows.

    Attributes:
        key: with dots.
        value: plain data, defaults filled in.
        writings: the last first; empty where it is a default.
        reader: what takes the value: a part with its parameter, or the runner itself.
        place: file and line of that reader.
        description: what the value means.
        effect: what the training makes of it; empty where it is used as written.
    """

    key: str
    value: Any
    writings: tuple[Writing, ...]
    reader: str
    place: str
    description: str
    effect: str = ""


def origin(loaded: Loaded, text: str, runs: Path | None = None) -> Origin:
    """Return where a value comes from and who reads it.

    Args:
        loaded: the recipe.
        text: the key with dots; its end is enough where no other key ends so.
        runs: folder in which ``runner analyze`` leaves what it measured.
    Raises: RecipeError: there is no such key, or there are several.
    """
    key = _key(loaded, text)
    reading = reading_of(loaded.recipe, key)
    assert reading is not None, key
    reader, place = _reader(reading, key)
    meaning = " ".join(reading.description.split())
    writings = tuple(_writings(loaded, key))
    value = plain(reading.value)
    base = loaded.source.own.get("extends")
    if key == ("extends",) and base is not None:
        # The base was laid under the recipe when it was read, and its name was done with.
        value, writings = base, (Writing(shown_path(loaded.source.chain[-1]), base, ""),)
    is_ours = reading.part is None or not is_own(reading.part.factory)
    known = statistics_at_hand(loaded, runs)
    effect = effect_on(loaded.recipe, key, value, known) if is_ours else ""
    return Origin(dotted(key), value, writings, reader, place, meaning, effect)


def plain(value: Any) -> Any:
    """Return a checked value as plain data."""
    if isinstance(value, Part):
        return value.dump()
    if isinstance(value, Rule):
        return dump_rule(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def _key(loaded: Loaded, text: str) -> Key:
    key: Key = tuple(int(name) if name.isdecimal() else name for name in text.split("."))
    if reading_of(loaded.recipe, key) is not None:
        return key
    # What the blocks of the scales write stands at its own key, once they are laid over.
    every = [each for each in _keys(Reading(loaded.recipe), ()) if each[0] not in _NOT_READ]
    ending = [each for each in every if each[-len(key) :] == key]
    if len(ending) == 1:
        return ending[0]
    if ending:
        message = f"names several keys: {', '.join(map(dotted, ending))}; write one out"
    else:
        known = dict.fromkeys(each for key in every for each in (dotted(key), str(key[-1])))
        near = suggestion(text, known)
        cure = near if near.startswith("did") else f"runner show {loaded.name} --resolved has all"
        message = f"no value of {loaded.name} has this key; {cure}"
    raise RecipeError(Problem("", text, message))


def _keys(reading: Reading, above: Key) -> Iterator[Key]:
    for name in names_at(reading):
        key = (*above, int(name) if name.isdecimal() else name)
        yield key
        if (inner := reading_below(reading, name)) is not None:
            yield from _keys(inner, key)


def _reader(reading: Reading, key: Key) -> tuple[str, str]:
    """Return who reads a value, and where that is written."""
    own = reading.value.part if isinstance(reading.value, Rule) else reading.value
    if isinstance(own, Part):
        reading = Reading(own, own)
    part = reading.part
    if part is not None:
        called = inspect.unwrap(part.factory)
        file = inspect.getsourcefile(called) or ""
        place = f"{_shown(Path(file))}:{called.__code__.co_firstlineno}"
        return f"{part.name}({reading.parameter})" if reading.parameter else part.name, place
    model = type(reading.owner) if reading.owner is not None else None
    if model is None:
        return "the runner", ""
    file = inspect.getsourcefile(model) or ""
    return f"the runner itself, {model.__name__}.{key[-1]}", _shown(Path(file))


def _shown(file: Path) -> str:
    """Return a file of ours by its place in the package, another as the user would name it."""
    package = Path(runner.__file__).parent
    if file.is_relative_to(package):
        return str(Path(package.name) / file.relative_to(package))
    return shown_path(file)


def _writings(loaded: Loaded, key: Key) -> list[Writing]:
    """Return what each recipe of the chain writes at a key, the last first."""
    found: list[Writing] = []
    owner: tuple[Any, ...] = ()
    begun_with = overrides_of(loaded.run_folder) if loaded.run_folder else ()
    sources = [read(path, loaded.source.revision) for path in loaded.source.chain]
    for source in (*sources, loaded.source):
        before, owner = owner, _parts_above(source, key)
        if owner != before or not _has(source, key):
            found.clear()  # Another part took the place of the one that the value was for.
        if not _has(source, key):
            continue
        place = str(source.place(key))
        if not place.startswith("--set") and (text := covering(begun_with, key)):
            place = f"--set {text} of the run, {place}"
        if not found or found[-1].place != place:
            because = _reason(source, key)
            if source is loaded.source:
                because = "" if place.startswith("--set") else f"the scale {loaded.scale}"
            found.append(Writing(place, value_at(source.data, key), because))
    return found[::-1]


def _parts_above(source: Source, key: Key) -> tuple[Any, ...]:
    """Return the name of each part that a key lies in."""
    depths = [depth for depth, name in enumerate(key) if name == "params"]
    return tuple(value_at(source.data, (*key[:depth], "name")) for depth in depths)


def _has(source: Source, key: Key) -> bool:
    above, name = value_at(source.data, key[:-1]), key[-1]
    if isinstance(above, list):
        return isinstance(name, int) and name < len(above)
    return isinstance(above, dict) and name in above


def _reason(source: Source, key: Key) -> str:
    """Return the reason of the group of ``changes`` that covers a key."""
    for change in source.own.get("changes", ()):
        if any(_covers(written, key) for written in change["keys"]):
            return " ".join(str(change["because"]).split())
    return ""


def _covers(written: str, key: Sequence[str | int]) -> bool:
    claim = tuple(written.split("."))
    return tuple(map(str, key))[: len(claim)] == claim
