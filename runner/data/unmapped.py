"""Values of masks and label volumes that have no class, each told once over all files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from runner.counting import number_of
from runner.errors import Problem

Value = TypeVar("Value", int, float)

REPORTED_VALUES = 20
"""Values that are named; a mask saved as JPEG, or an image taken for a label, has thousands."""


@dataclass(frozen=True)
class Words:
    """How values without a class are spoken of.

    Attributes:
        unit: what carries them, such as ``pixels``.
        files: what holds them, such as ``masks``.
        wrong: what is the matter with one, such as ``is not mapped``.
        cure: what to do about one.
        others: what those are called that are not named.
        doubt: what many of them may mean.
    """

    unit: str
    files: str
    wrong: str
    cure: str
    others: str
    doubt: str


@dataclass(frozen=True)
class Unmapped(Problem):
    """A value of a file that has no class; most often many files hold it.

    Attributes:
        value: in words; empty for all that are not named.
        count: units that carry it.
        words: how it is spoken of.
    """

    value: str
    count: int
    words: Words


def unmapped_problems(
    path: Path, counts: Mapping[Value, int], called: Callable[[Value], str], words: Words
) -> list[Problem]:
    """Return a problem for each value of a file, the most frequent first, and one for the rest.

    Args:
        path: of the file.
        counts: units of each value.
        called: what a value is called.
        words: how it is spoken of.
    """
    largest = sorted(counts, key=lambda value: (-counts[value], value))
    found: list[Problem] = []
    for value in largest[:REPORTED_VALUES]:
        name, count = called(value), counts[value]
        message = f"{name} on {number_of(count, words.unit, ',')} {words.wrong}; {words.cure}"
        found.append(Unmapped(str(path), "", message, name, count, words))
    if rest := largest[REPORTED_VALUES:]:
        count = sum(counts[value] for value in rest)
        message = (
            f"{number_of(len(rest), f'more {words.others}', ',')} on "
            f"{number_of(count, words.unit, ',')}; {words.doubt}"
        )
        found.append(Unmapped(str(path), "", message, "", count, words))
    return found


def told_once(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems with each value once: its units, its files and the first of them.

    Args:
        problems: of many files, those of values without a class as ``unmapped_problems`` has them.
    """
    of_value: dict[str, list[Unmapped]] = defaultdict(list)
    told: list[Problem] = []
    for each in dict.fromkeys(problems):
        if isinstance(each, Unmapped):
            of_value[each.value].append(each)
        else:
            told.append(each)
    rest = of_value.pop("", [])
    largest = sorted(of_value.values(), key=lambda found: -sum(each.count for each in found))
    for found in largest[:REPORTED_VALUES]:
        told.append(_together(found, f"{found[0].value} {found[0].words.wrong}:"))
    rest += [each for found in largest[REPORTED_VALUES:] for each in found]
    return [*told, _together(rest, f"more {rest[0].words.others} on")] if rest else told


def _together(found: list[Unmapped], said: str) -> Unmapped:
    first, files = found[0], len({each.place for each in found})
    if len(found) == 1:
        return first
    count, words = sum(each.count for each in found), first.words
    message = (
        f"{said} {number_of(count, words.unit, ',')} in "
        f"{number_of(files, words.files, ',')}, of which this is the first; "
        f"{words.cure if first.value else words.doubt}"
    )
    return replace(first, message=message, count=count)
