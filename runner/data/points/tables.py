"""Points of all images in one file: FSC-147, CSV, JSON and COCO."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from runner.data.box_faults import Fault
from runner.data.files import problem
from runner.data.points.canvas import Points
from runner.data.points.from_boxes import fault_of
from runner.data.stated_sizes import Size, coco_sizes
from runner.data.texts import read_utf8
from runner.errors import DataError, Problem

Table = dict[str, Points]
"""Points by what the file calls their image."""


@dataclass(frozen=True)
class Notes:
    """What a file says of images besides their points, by what it calls them.

    Attributes:
        faults: what is wrong with single boxes.
        sizes: of the images, where it states them.
        crowds: places of boxes that stand for several objects each, and are left out.
    """

    faults: dict[str, list[Fault]] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    crowds: dict[str, list[str]] = field(default_factory=dict)


Categories = Sequence[str] | None
"""Names of the boxes that count; all where None."""


def read_text(path: Path) -> str:
    """Return a text file.

    Raises: DataError: it is missing or no UTF-8 text.
    """
    try:
        return read_utf8(path)
    except FileNotFoundError:
        message = "does not exist; correct data.params.annotations or data.params.root"
        raise DataError(problem(path, message)) from None
    except OSError as error:
        raise DataError(problem(path, f"cannot be read ({error}); replace it")) from None


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises: DataError: it is missing or damaged; the line is named.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError:
        raise DataError(problem(path, "is nested too deeply; replace it")) from None
    except json.JSONDecodeError as error:
        message = f"is no JSON ({error.msg} in column {error.colno}); replace or mend it"
        raise DataError(Problem(f"{path}:{error.lineno}", "", message)) from None
    except ValueError as error:  # A number of more digits than Python reads.
        raise DataError(problem(path, f"cannot be read ({error}); replace it")) from None


def as_points(path: Path, name: str, rows: Any) -> Points:
    """Return written coordinates as points.

    Raises: DataError: they are not pairs of finite numbers.
    """
    if isinstance(rows, list):
        is_pair = [
            isinstance(row, list) and len(row) == 2 and all(map(_is_number, row)) for row in rows
        ]
        if all(is_pair):
            return np.array(rows, np.float64).reshape(-1, 2)
        row = rows[is_pair.index(False)]
        message = f"{name}: {str(row)[:60]} is no point; write [x, y], both finite numbers"
    else:
        message = f"{name}: has no list of points; write [[x, y], ...]"
    raise DataError(problem(path, message))


def read_points_json(path: Path, _: Categories, __: Notes) -> Table:
    """Return ``{image: [[x, y], ...]}``."""
    return _mapped(path, lambda entry: entry)


def read_fsc147(path: Path, _: Categories, __: Notes) -> Table:
    """Return ``{image: {points: [[x, y], ...], ...}}``, as FSC-147 writes it."""
    return _mapped(path, lambda entry: entry.get("points") if isinstance(entry, dict) else None)


def _mapped(path: Path, pick: Callable[[Any], Any]) -> Table:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(
            problem(path, "is no mapping of image names to points; write {name: [[x, y], ...]}")
        )
    table: Table = {}
    problems: list[Problem] = []
    for name, entry in content.items():
        try:
            table[name] = as_points(path, name, pick(entry))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return table


def read_points_csv(path: Path, _: Categories, __: Notes) -> Table:
    """Return a CSV file with the columns ``file``, ``x`` and ``y``, a point a line."""
    reader = csv.DictReader(io.StringIO(read_text(path)))
    try:
        columns, lines = reader.fieldnames or (), [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        message = f"is no CSV that can be read ({error}); export it anew"
        raise DataError(Problem(f"{path}:{reader.line_num}", "", message)) from None
    missing = [column for column in ("file", "x", "y") if column not in columns]
    if missing:
        message = f"has no column {', '.join(missing)}; its first line must name file, x and y"
        raise DataError(Problem(f"{path}:1", "", message))
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    problems: list[Problem] = []
    for number, row in lines:
        x, y = (_number(row[column]) for column in ("x", "y"))
        if row["file"] and x is not None and y is not None:
            rows[row["file"]].append((x, y))
        else:
            message = f"{row['file']},{row['x']},{row['y']} is no point; write file,x,y"
            problems.append(Problem(f"{path}:{number}", "", message))
    if problems:
        raise DataError(problems)
    return {name: np.array(points, np.float64) for name, points in rows.items()}


def read_coco(path: Path, categories: Categories, notes: Notes) -> Table:
    """Return the centres of the boxes of a COCO file; crowds are told apart.

    Args:
        path: of the file.
        categories: of the boxes that count.
        notes: is added to.
    """
    content = read_json(path)
    try:
        images = {image["id"]: str(image["file_name"]) for image in content["images"]}
        names = {each["id"]: str(each["name"]) for each in content.get("categories", ())}
        found = [
            (each.get("id", number), each["image_id"], names.get(each["category_id"]), each["bbox"])
            for number, each in enumerate(content["annotations"])
            if not each.get("iscrowd")
        ]
        for number, each in enumerate(content["annotations"]):
            counts = categories is None or names.get(each.get("category_id")) in categories
            if each.get("iscrowd") and counts and each.get("image_id") in images:
                place = f"{path}: annotation {each.get('id', number)}"
                notes.crowds.setdefault(images[each["image_id"]], []).append(place)
        notes.sizes.update(coco_sizes(content["images"]))
    except (KeyError, TypeError, AttributeError) as error:
        message = f"is no COCO file: images, annotations or one of their keys is missing ({error})"
        raise DataError(problem(path, message)) from None
    if categories is not None:
        check_categories(path, categories, [name for name in names.values() if name])
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in images.values()}
    problems: list[Problem] = []
    for number, image, category, box in found:
        if not isinstance(image, Hashable) or image not in images:
            message = (
                f"a box is of the image {str(image)[:60]}, which the file does not list; remove it"
            )
            problems.append(problem(path, message))
        elif not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
            message = f"{images[image]}: {str(box)[:60]} is no box; write [x, y, width, height]"
            problems.append(problem(path, message))
        elif categories is None or category in categories:
            x, y, width, height = box
            rows[images[image]].append((x + width / 2, y + height / 2))
            fault = fault_of(f"{path}: annotation {number}", (x, y, x + width, y + height))
            if fault is not None:
                notes.faults.setdefault(images[image], []).append(fault)
    if problems:
        raise DataError(problems)
    return {name: np.array(points, np.float64).reshape(-1, 2) for name, points in rows.items()}


def check_categories(path: Path, wanted: Sequence[str], known: Sequence[str]) -> None:
    """Raise a DataError where none of the boxes could be of a wanted category."""
    unknown = [name for name in wanted if name not in known]
    if unknown:
        message = (
            f"no box is of the category {', '.join(unknown)} (there are: "
            f"{', '.join(sorted(set(known)))}); correct data.params.categories"
        )
        raise DataError(problem(path, message))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


READERS: Mapping[str, Callable[[Path, Categories, Notes], Table]] = {
    "fsc147": read_fsc147,
    "csv": read_points_csv,
    "json": read_points_json,
    "coco": read_coco,
}
