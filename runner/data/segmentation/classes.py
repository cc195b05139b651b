"""Which class a mask's ids or colours stand for.

Numpy is not imported here: ``runner validate`` reads a mapping too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runner.by_class import IGNORED
from runner.contracts import IGNORE
from runner.data.texts import read_utf8
from runner.errors import DataError, Problem, RecipeError

MaskFormat = Literal["index", "rgb"]
Source = int | tuple[int, int, int]
"""What a mask's pixel holds: an id, or a colour (red, green, blue)."""

_SOURCE_COLUMNS: dict[str, dict[str, int]] = {
    "index": {"source_id": 65535},
    "rgb": {"r": 255, "g": 255, "b": 255},
}
_NAME_COLUMN = {"index": "source_name", "rgb": "name"}


@dataclass(frozen=True)
class ClassMap:
    """The classes of a data set and how its masks write them.

    Attributes:
        format: ``index``: a pixel holds an id; ``rgb``: a colour.
        classes: names, by index.
        sources: the ids, or colours as red·2^16 + green·2^8 + blue, ascending.
        targets: the class index of each source; 255 is ignored.
    """

    format: MaskFormat
    classes: tuple[str, ...]
    sources: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def content(self) -> str:
        """Everything that a decoded mask depends on, as text."""
        return repr((self.format, self.sources, self.targets))

    def describe(self, source: int) -> str:
        """Return how the mapping file would write a source."""
        if self.format == "index":
            return f"id {source}"
        return f"colour {source >> 16},{source >> 8 & 255},{source & 255}"


def named(classes: Sequence[str]) -> ClassMap:
    """Return the map of index masks that hold class indices already; 255 is ignored."""
    indices = tuple(range(len(classes)))
    return ClassMap("index", tuple(classes), (*indices, IGNORE), (*indices, IGNORE))


def written(sources: Mapping[str, Sequence[Source]], mask_format: MaskFormat) -> ClassMap:
    """Return the map that a recipe writes out: each class with its ids or colours.

    Args:
        sources: by class, in the order of their indices; those of ``ignore`` are ignored.
        mask_format: whether masks hold ids or colours.
    Raises: RecipeError: a source that stands twice, or that is no id (no colour).
    """
    names = [name for name in sources if name != IGNORED]
    targets: dict[int, int] = {}
    problems: list[Problem] = []
    for name, each in [(name, each) for name, those in sources.items() for each in those]:
        key = f"data.params.classes.{name}"
        if isinstance(each, int) != (mask_format == "index"):
            wanted = "an id" if mask_format == "index" else "a colour [red, green, blue]"
            problems.append(Problem("", key, f"{each} is not {wanted}; see mask_format"))
            continue
        source = each if isinstance(each, int) else each[0] << 16 | each[1] << 8 | each[2]
        if source in targets:
            problems.append(Problem("", key, f"{each} stands twice; keep it in one class"))
        targets[source] = IGNORE if name == IGNORED else names.index(name)
    if not names:
        problems.append(Problem("", "data.params.classes", "names no class; write at least one"))
    if problems:
        raise RecipeError(problems)
    ascending = tuple(sorted(targets))
    return ClassMap(
        mask_format, tuple(names), ascending, tuple(targets[each] for each in ascending)
    )


def read_mapping(path: Path, mask_format: MaskFormat) -> ClassMap:
    """Read a mapping file: one line for each id or colour.

    Args:
        path: CSV with the columns ``source_id, source_name, target_id, target_name`` of index
            masks, or ``r, g, b, name, target_id, target_name`` of RGB masks. Target ids count
            from 0 without a gap; 255 is ignored.
        mask_format: which of the two.
    Raises: DataError: every problem of the file, by line.
    """
    rows, problems = _rows(path, mask_format)
    sources: dict[int, int] = {}
    names: dict[int, str] = {}
    for line, row in rows:
        place = f"{path}:{line}"
        found: list[Problem] = []
        limits = {**_SOURCE_COLUMNS[mask_format], "target_id": 255}
        numbers = {key: _number(place, key, row[key], limits[key], found) for key in limits}
        problems += found
        if found:
            continue
        source = 0
        for key in _SOURCE_COLUMNS[mask_format]:
            source = source << 8 | numbers[key]
        target, name = numbers["target_id"], (row["target_name"] or "").strip()
        if source in sources:
            message = "the same source stands on an earlier line; remove one of them"
            problems.append(Problem(place, next(iter(limits)), message))
        sources.setdefault(source, target)
        if target != IGNORE and (not name or names.setdefault(target, name) != name):
            message = f"class {target} is called {name!r} here; give it one name on all its lines"
            problems.append(Problem(place, "target_name", message))
    problems = problems or _numbering_problems(path, names)
    if problems:
        raise DataError(problems)
    ascending = tuple(sorted(sources))
    classes = tuple(names[index] for index in range(len(names)))
    return ClassMap(mask_format, classes, ascending, tuple(sources[each] for each in ascending))


def _rows(
    path: Path, mask_format: MaskFormat
) -> tuple[list[tuple[int, dict[str, str | None]]], list[Problem]]:
    """Return the lines with their numbers; none where the file or a column is missing."""
    try:
        text = read_utf8(path)
    except FileNotFoundError:
        return [], [_of_file(path, "the mapping file does not exist; correct data.params.mapping")]
    except DataError as error:
        return [], list(error.problems)
    except OSError as error:
        return [], [_of_file(path, f"the mapping file cannot be read ({error}); copy it anew")]
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    columns = [*_SOURCE_COLUMNS[mask_format], "target_id", "target_name"]
    present = reader.fieldnames or []
    missing = [name for name in columns if name not in present]
    if missing:
        wanted = [*columns[:-2], _NAME_COLUMN[mask_format], *columns[-2:]]
        message = (
            f"the column {', '.join(missing)} is missing; "
            f"{mask_format} masks are mapped by {', '.join(wanted)}"
        )
        return [], [_of_file(path, message)]
    return [(reader.line_num, row) for row in reader], []


def _number(place: str, key: str, text: str | None, limit: int, problems: list[Problem]) -> int:
    stripped = (text or "").strip()
    if stripped.isascii() and stripped.isdigit() and int(stripped) <= limit:
        return int(stripped)
    problems.append(
        Problem(place, key, f"{stripped!r} is no whole number from 0 to {limit}; correct it")
    )
    return 0


def _of_file(path: Path, message: str) -> Problem:
    return Problem(str(path), "", message)


def _numbering_problems(path: Path, names: dict[int, str]) -> list[Problem]:
    if not names:
        return [
            _of_file(path, "maps nothing to a class; give at least one line a target_id below 255")
        ]
    gaps = [str(index) for index in range(max(names)) if index not in names]
    if gaps:
        message = (
            f"no line has target_id {', '.join(gaps)}; number the classes from 0 without a gap"
        )
        return [_of_file(path, message)]
    twice = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    return [_of_file(path, f"two classes are called {name!r}; rename one") for name in twice]
