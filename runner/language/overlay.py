"""Lay one recipe over another, keeping the place of every key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.errors import Problem
from runner.language.document import Key, Place, dotted
from runner.language.revisions import Revision

_EITHER_OR: tuple[tuple[frozenset[str], ...], ...] = (
    (frozenset({"epochs"}), frozenset({"steps"}), frozenset({"fraction"})),
    (frozenset({"fractions", "seed", "by"}), frozenset({"lists"}), frozenset({"folders"})),
    (frozenset({"mapping"}), frozenset({"classes"})),
)
"""Spellings of one thing: the one written later removes the others from the mapping."""

_CLASSES = ("data", "params", "classes")
_MASKS = ("data", "params", "masks")
_NO_CLASS = "ignore"


@dataclass(frozen=True)
class Source:
    """A merged recipe as plain data.

    Attributes:
        data: mappings, lists and scalars.
        places: where each key was written; keys of a base keep their base's place.
        chain: the file of each recipe it was merged from, the root first.
        own: what the last of them says itself.
        revision: of git that they were read from; the files as they are where None.
        problems: what was found wrong while they were read.
    """

    data: dict[str, Any]
    places: dict[Key, Place]
    chain: tuple[Path, ...] = ()
    own: Mapping[str, Any] = field(default_factory=dict)
    revision: Revision | None = None
    problems: tuple[Problem, ...] = ()

    def place(self, key: Key) -> Place:
        """Return the line of ``key``, or of its nearest written ancestor."""
        while key not in self.places:
            key = key[:-1]
        return self.places[key]

    def problem(self, key: Key, message: str) -> Problem:
        """Blame the line of ``key``, or of its nearest written ancestor."""
        return Problem(str(self.place(key)), dotted(key), message)


def without(source: Source, *keys: Key) -> Source:
    """Return the source with these keys, and all below them, left out."""
    data, places = source.data, dict(source.places)
    for key in keys:
        if not (taken := _taken(data, key)):
            continue
        data = taken[0]
        for written in [each for each in places if each[: len(key)] == key]:
            del places[written]
    return replace(source, data=data, places=places)


def _taken(data: Any, key: Key) -> tuple[Any] | None:
    """Return a copy of ``data`` that lacks ``key``, in a tuple; None where it has no such key."""
    if not isinstance(data, dict) or key[0] not in data:
        return None
    if len(key) == 1:
        return ({name: value for name, value in data.items() if name != key[0]},)
    inner = _taken(data[key[0]], key[1:])
    return None if inner is None else ({**data, key[0]: inner[0]},)


def overlay(base: Source, above: Source) -> Source:
    """Lay one recipe over another: mappings merge, all else is replaced.

    Naming another part replaces the part whole: the parameters of a U-Net must not leak into the
    DeepLab that a child puts in its place. So do classes of which the base has not
    all, written with a pattern of masks: they are those of other data.
    """
    places = dict(base.places)

    def forget(key: Key) -> None:
        depth = len(key)
        for old in [old for old in places if old[:depth] == key]:
            del places[old]

    def merge(below: Any, own: Any, key: Key) -> Any:
        are_mappings = isinstance(below, dict) and isinstance(own, dict)
        is_elsewhere = key == _CLASSES and value_at(above.data, _MASKS) is not None
        are_others = is_elsewhere and are_mappings and bool({*own} - {*below, _NO_CLASS})
        if not are_mappings or are_others or swaps_part(below, own):
            forget(key)
            return own
        removed = {name for name in below if name not in own and _is_superseded(name, own)}
        for name in removed:
            forget((*key, name))
        kept = {name: value for name, value in below.items() if name not in removed}
        return kept | {
            name: merge(below[name], value, (*key, name)) if name in below else value
            for name, value in own.items()
        }

    data = merge(base.data, above.data, ())
    places = {**places, **above.places, (): base.places[()]}
    return replace(base, data=data, places=places, problems=base.problems + above.problems)


def _is_superseded(name: str, own: Mapping[str, Any]) -> bool:
    """Whether something written above takes the place of this key of the base."""
    if name == "compress_to_steps":
        return "epochs" in own or "steps" in own
    for spellings in _EITHER_OR:
        mine = [spelling for spelling in spellings if name in spelling]
        if mine and any(own.keys() & other for other in spellings if other not in mine):
            return True
    return False


def swaps_part(below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    """Whether both are parts, ``{name, params}``, of different names."""
    parts = below.keys() <= {"name", "params"} and above.keys() <= {"name", "params"}
    return parts and "name" in above and above["name"] != below.get("name")


def leaves(data: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Yield each value that is no non-empty mapping, with its key."""
    if isinstance(data, dict) and data:
        for name, value in data.items():
            yield from leaves(value, (*key, name))
    else:
        yield key, data


def value_at(data: Any, key: Key) -> Any:
    """Return what stands at a key; None where nothing does."""
    for name in key:
        if isinstance(data, dict):
            data = data.get(name)
        else:
            is_there = isinstance(data, list) and isinstance(name, int) and name < len(data)
            data = data[name] if is_there else None
    return data
