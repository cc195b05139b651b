"""Read one YAML document as plain data with the line of every key, and nothing that could surprise.

YAML 1.1 as PyYAML reads it turns 012 into 10, 3:25 into 205, off into False, 1e-3 into text and
1e400 into infinity. Here such a spelling is a problem that says what to write instead.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from runner.errors import Problem, RecipeError

LARGEST_BYTES = 1 << 20
DEEPEST = 64
MOST_NODES = 50_000

Key = tuple[str | int, ...]

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_REAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_PLAIN = {"": None, "~": None, "null": None, "true": True, "false": False}
_SWITCHES = dict.fromkeys(("yes", "no", "on", "off"), "write true or false, or quote it")
_WORDS = {
    **dict.fromkeys(("True", "TRUE", "False", "FALSE"), "write true or false, or quote it"),
    **dict.fromkeys(("Null", "NULL"), "write null, or quote it"),
}
_TRAPS = (
    (r"[-+]?0[0-9_]+(\.[0-9]*)?", "YAML reads it as octal; drop the zero, or quote it"),
    (r"[-+]?0[xob][0-9a-fA-F_]+", "write the number in decimal, or quote it"),
    (r"[-+]?[0-9]+(_[0-9]+)+(\.[0-9_]*)?", "drop the underscores, or quote it"),
    (r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?", "YAML reads it in base 60; quote it"),
    (r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "only finite numbers are allowed"),
)
"""Spellings and cures; compiled where one is met, as that takes longer than to read a recipe."""


@dataclass(frozen=True)
class Place:
    """Where a key was written.

    Attributes:
        file: as the user would name it; ``--set train.epochs=1`` for the command line.
        line: counted from 1; 0 where a file has no lines.
    """

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass
class Document:
    """Plain data (mappings with text keys, lists, text, numbers, truth values, None) and places.

    Attributes:
        data: a scalar that YAML would misread is its text.
        places: the line of every key.
        problems: what to mend although it could be read.
    """

    data: Any = None
    places: dict[Key, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def parse(text: str, file: str) -> Document:
    """Read one YAML document in which nothing is wrong.

    Args:
        text: of the file.
        file: its name, for the places.
    Raises: RecipeError: as ``examine``, or what that finds; all at once.
    """
    document = examine(text, file)
    if document.problems:
        raise RecipeError(document.problems)
    return document


def examine(text: str, file: str) -> Document:
    """Read one YAML document as far as it can be read.

    Its ``problems`` are tags, keys written twice and scalars that YAML would misread.

    Args:
        text: of the file.
        file: its name, for the places.
    Raises: RecipeError: not YAML, too large, too deep, an alias bomb, with all that was found up to
        there.
    """
    if len(text.encode()) > LARGEST_BYTES:
        raise RecipeError(
            Problem(
                file,
                "",
                f"is larger than {LARGEST_BYTES >> 20} MiB; a recipe is a few kilobytes; "
                "name another file",
            )
        )
    reader = _Reader(file)
    try:
        reader.read(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1 if mark else 1)
        message = f"not YAML: {error.problem}; correct the line, or the one before"
        raise RecipeError([*reader.document.problems, Problem(str(place), "", message)]) from None
    except yaml.reader.ReaderError as error:
        # Its position counts bytes.
        before = text.encode()[: error.position]
        place = Place(file, before.count(b"\n") + 1)
        message = f"not YAML: holds the character U+{error.character:04X}; take it out"
        raise RecipeError([*reader.document.problems, Problem(str(place), "", message)]) from None
    except yaml.YAMLError as error:
        message = f"not YAML: {error}; make it simpler, or export it anew"
        problem = Problem(str(Place(file, 1)), "", message)
        raise RecipeError([*reader.document.problems, problem]) from None
    return reader.document


class _TooMuchError(yaml.YAMLError):
    """The document is no recipe; reading on would cost memory."""


class _Reader:
    """Builds data from parser events, which come one by one however deep the document is."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.document = Document()
        self._anchors: dict[str, Any] = {}
        self._nodes = 0

    def read(self, events: Iterator[Any]) -> None:
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._problem((), event, "holds a second document; keep one recipe in a file")
                    return
                self.document.data = self._node(next(events), events, ())

    def _node(self, event: Any, events: Iterator[Any], key: Key) -> Any:
        self._count(1)
        if len(key) > DEEPEST:
            raise _TooMuchError(f"nested deeper than {DEEPEST}")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, key)
        if event.tag is not None and event.tag != "!":
            self._problem(key, event, f"has the tag {event.tag}; a recipe is plain data, remove it")
        if isinstance(event, yaml.ScalarEvent):
            value: Any = self._scalar(event, key)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                child = (*key, len(value))
                self._place(child, item)
                value.append(self._node(item, events, child))
        else:
            value = self._mapping(events, key)
        if event.anchor:
            self._anchors[event.anchor] = value
        return value

    def _mapping(self, events: Iterator[Any], key: Key) -> dict[str, Any]:
        value: dict[str, Any] = {}
        while not isinstance(name := next(events), yaml.MappingEndEvent):
            if not isinstance(name, yaml.ScalarEvent):
                raise yaml.MarkedYAMLError(None, None, "a key is plain text", name.start_mark)
            child = (*key, name.value)
            if name.value in value:
                first = self.document.places[child]
                self._problem(
                    child, name, f"is written twice, first in line {first.line}; keep one"
                )
            elif name.value == "<<":
                self._problem(child, name, "merge keys are not read; extends does that")
            self._place(child, name)
            value[name.value] = self._node(next(events), events, child)
        return value

    def _alias(self, event: Any, key: Key) -> Any:
        if event.anchor not in self._anchors:
            self._problem(key, event, f"*{event.anchor} has no anchor before it")
            return None
        value = self._anchors[event.anchor]
        self._count(_size(value, MOST_NODES))
        return value

    def _scalar(self, event: Any, key: Key) -> Any:
        text: str = event.value
        if event.style not in (None, ""):
            return text
        if text in _PLAIN:
            return _PLAIN[text]
        if _WHOLE.fullmatch(text):
            # Longer numbers are no recipe's, and Python takes quadratic time to read them.
            if len(text) < 32:
                return int(text)
            self._problem(key, event, "too many digits")
            return text
        if _REAL.fullmatch(text):
            number = float(text)
            if number not in (float("inf"), float("-inf")):
                return number
            self._problem(key, event, f"{text} is too large for a number")
        elif cure := _trap(text):
            self._problem(key, event, f"{text} is ambiguous: {cure}")
        return text

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise _TooMuchError(f"more than {MOST_NODES} values, aliases counted")

    def _place(self, key: Key, event: Any) -> None:
        self.document.places[key] = Place(self.file, event.start_mark.line + 1)

    def _problem(self, key: Key, event: Any, message: str) -> None:
        place = Place(self.file, event.start_mark.line + 1)
        self.document.problems.append(Problem(str(place), dotted(key), message))


def _trap(text: str) -> str:
    """Return what to write in place of a scalar that YAML would misread; empty for plain text."""
    if text[:1] not in "+-.0123456789":
        return _WORDS.get(text) or _SWITCHES.get(text.lower(), "")
    return next((cure for spelling, cure in _TRAPS if re.fullmatch(spelling, text)), "")


def _size(value: Any, most: int) -> int:
    """Count the values below one, giving up above ``most``: an alias bomb is never walked whole."""
    count, waiting = 0, [value]
    while waiting and count <= most:
        each = waiting.pop()
        count += 1
        waiting.extend(
            each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        )
    return count


def dotted(key: Key) -> str:
    """Return a key as a user writes it: ``task.params.loss``."""
    return ".".join(map(str, key))


def spelled(value: Any) -> str:
    """Return a scalar as YAML writes it: null, true, 3, 'text'."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)
