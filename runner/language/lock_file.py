"""Read and write ``recipes.lock``, the values that each published version was published with.

    uav_baseline 1 cd80ab9313e6
      optimizer.params.lr = 0.0001
      ...

    uav_fixed 1 34ea4a0a09b8 over uav_baseline 1 cd80ab9313e6
      optimizer.params.lr = 0.0003
      - schedule.params.duration.epochs

An entry holds what differs from the entry that it stands over: the recipe's base, or its own
version before. One version may have several, where options came to the runner later. Entries stand
in the order of their names, so that two branches that add to the file seldom touch the same place.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from runner.errors import MachineError, Problem, RecipeError
from runner.language.document import dotted
from runner.language.recipe import Recipe, meaning

LOCK = "recipes.lock"

_HEAD = """\
# What each published version of a recipe means, value by value. `runner validate --write-lock`
# adds to it and changes no line that is here.
"""
_OVER, _RETIRED, _IS = "over", "retired", " = "

Values = Mapping[str, Any]


class Pin(NamedTuple):
    """Names one entry."""

    name: str
    version: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.fingerprint}"


@dataclass(frozen=True)
class Entry:
    """One published meaning.

    Attributes:
        pin: recipe, version and fingerprint.
        over: the entry that the lines are to be laid over.
        lines: as in the file; read only where a meaning is no longer the same.
    """

    pin: Pin
    over: Pin | None
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Lock:
    """All that was ever published.

    Attributes:
        file: where it was read.
        entries: in the order of the file: sorted by name, the oldest first.
        retired: names whose files are gone on purpose.
    """

    file: Path
    entries: tuple[Entry, ...] = ()
    retired: frozenset[str] = frozenset()

    def of(self, name: str, version: int | None = None) -> list[Entry]:
        """Return the entries of a recipe, or of one version of it, the oldest first."""
        return [
            entry
            for entry in self.entries
            if entry.pin.name == name and version in (None, entry.pin.version)
        ]

    def values(self, entry: Entry) -> dict[str, Any]:
        """Return every value of an entry.

        Raises: RecipeError: a line cannot be read, or the entry below is missing.
        """
        by_pin = {each.pin: each for each in self.entries}
        stack = [entry]
        while (below := stack[-1].over) is not None:
            if below not in by_pin or any(each.pin == below for each in stack):
                raise _damaged(self.file, 0, f"{stack[-1].pin} stands over {below}, which is gone")
            stack.append(by_pin[below])
        values: dict[str, Any] = {}
        for each in reversed(stack):
            for line in each.lines:
                self._lay(values, line)
        return values

    def _lay(self, values: dict[str, Any], line: str) -> None:
        if line.startswith("- "):
            values.pop(line[2:], None)
            return
        # A class may be called "a = b": the value is what reads as one.
        end = line.find(_IS)
        while end >= 0:
            try:
                values[line[:end]] = json.loads(line[end + len(_IS) :])
                return
            except ValueError:
                end = line.find(_IS, end + 1)
        raise _damaged(self.file, 0, f"{line!r} is no value")

    def with_entries(self, added: Iterable[Entry], retired: Iterable[str] = ()) -> "Lock":
        """Return the lock with more in it; nothing that is there changes."""
        entries = sorted((*self.entries, *added), key=lambda entry: entry.pin.name)
        return Lock(self.file, tuple(entries), self.retired | set(retired))

    def text(self) -> str:
        """Return it as the file holds it."""
        blocks = [_HEAD]
        names = sorted({entry.pin.name for entry in self.entries} | self.retired)
        for name in names:
            for entry in self.of(name):
                over = f" {_OVER} {entry.over}" if entry.over else ""
                blocks.append("\n".join([f"{entry.pin}{over}", *(f"  {x}" for x in entry.lines)]))
                blocks[-1] += "\n"
            if name in self.retired:
                blocks.append(f"{name} {_RETIRED}\n")
        return "\n".join(blocks)


def flattened(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's meaning as dotted keys and values; parts in a list are looked into."""
    return {dotted(key).replace("\n", " "): value for key, value in _leaves(meaning(recipe), ())}


def _leaves(value: Any, key: tuple[str | int, ...]) -> Iterable[tuple[tuple[str | int, ...], Any]]:
    inner: Iterable[tuple[str | int, Any]]
    if isinstance(value, dict) and value:
        inner = value.items()
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        inner = enumerate(value)
    else:
        yield key, value
        return
    for name, each in inner:
        yield from _leaves(each, (*key, name))


def make_entry(pin: Pin, values: Values, over: Pin | None, below: Values) -> Entry:
    """Return the entry that says how ``values`` differ from those below."""
    lines = [
        f"{key}{_IS}{json.dumps(value, ensure_ascii=False)}"
        for key, value in values.items()
        if key not in below or not same(below[key], value)
    ]
    gone = [f"- {key}" for key in below if key not in values]
    return Entry(pin, over, (*lines, *gone))


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type: ``true`` is not 1."""
    return bool(one == other) and json.dumps(one) == json.dumps(other)


def read_lock(folder: Path) -> Lock:
    """Read the lock of a folder of recipes; an empty one where there is none.

    Raises: RecipeError: it cannot be read, such as after a merge that was not finished.
    """
    file = folder / LOCK
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Lock(file)
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(file, 0, str(error)) from error
    blocks: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("  ") and blocks:
            blocks[-1][2].append(line[2:])
        elif line and not line.startswith("#"):
            blocks.append((number, line, []))
    entries, retired = [], set()
    for number, head, lines in blocks:
        words = head.split(" ")
        if words[1:] == [_RETIRED]:
            retired.add(words[0])
        elif (pins := _pins(words)) is None:
            raise _damaged(file, number, f"{head!r} is no entry")
        else:
            entries.append(Entry(*pins, tuple(lines)))
    return Lock(file, tuple(entries), frozenset(retired))


def _pins(words: list[str]) -> tuple[Pin, Pin | None] | None:
    is_over = len(words) == 7 and words[3] == _OVER and words[5].isdigit()
    if not (len(words) == 3 or is_over) or not words[1].isdigit():
        return None
    below = Pin(words[4], int(words[5]), words[6]) if is_over else None
    return Pin(words[0], int(words[1]), words[2]), below


def _damaged(file: Path, line: int, reason: str) -> RecipeError:
    place = f"{file}:{line}" if line else str(file)
    return RecipeError(Problem(place, "", f"{reason}; take the file back from git"))


def write_lock(lock: Lock) -> None:
    """Replace the file in one step.

    Raises: MachineError: it cannot be written.
    """
    beside = lock.file.with_name(f".{LOCK}.tmp")
    try:
        beside.write_text(lock.text(), encoding="utf-8")
        beside.replace(lock.file)
    except OSError as error:
        message = f"cannot be written: {error.strerror}; make the folder writable"
        raise MachineError(Problem(str(lock.file), "", message)) from error
