"""The four ways in which boxes are written down: YOLO text, Pascal VOC, COCO and CSV."""

from __future__ import annotations

import csv
import json
import math
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from runner.data.boxes.images import Row
from runner.data.files import Header, problem
from runner.data.stated_sizes import Size, coco_sizes
from runner.data.texts import read_utf8
from runner.errors import DataError, Problem
from runner.registry import suggestion

BoxFormat = Literal["yolo", "voc", "coco", "csv"]
PER_IMAGE: tuple[BoxFormat, ...] = ("yolo", "voc")
"""Formats with a file for each image; the others have one for many."""

MAX_ANNOTATION_BYTES = 2**30


class UnknownClass(Problem):
    """A box of a class that the recipe does not name; most often many boxes are."""


@dataclass(frozen=True)
class Columns:
    """What a CSV file calls its columns: corners in pixels, counted from 0."""

    file: str = "file"
    x1: str = "x1"
    y1: str = "y1"
    x2: str = "x2"
    y2: str = "y2"
    kind: str = "class"


@dataclass(frozen=True)
class Table:
    """What a file says of many images, by what it calls them.

    Attributes:
        rows: the boxes.
        sizes: of the images, where it states them.
        crowds: places of boxes that stand for several objects each, and are left out.
    """

    rows: dict[str, list[Row]] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    crowds: dict[str, list[str]] = field(default_factory=dict)


def told_once(problems: Sequence[Problem]) -> list[Problem]:
    """Return problems with each unknown class once: at its first box, and of how many it is."""
    boxes = Counter(each.message for each in problems if isinstance(each, UnknownClass))
    told: dict[Problem | str, Problem] = {}
    for each in problems:
        if not isinstance(each, UnknownClass):
            told[each] = each
        elif each.message not in told:
            count = boxes[each.message]
            times = f" ({count:,} boxes, this is the first)" if count > 1 else ""
            told[each.message] = Problem(each.place, each.key, each.message + times)
    return list(told.values())


def read_yolo(path: Path, header: Header, classes: Sequence[str]) -> list[Row]:
    """Return the boxes of a file with ``class cx cy width height`` a line, in shares of the image.

    Raises: DataError: all lines that are no such thing.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            kind, *shares = (float(word) for word in line.split())
        except ValueError:
            kind, shares = math.nan, []
        if len(shares) != 4 or not kind.is_integer():
            message = f"{line.strip()[:60]!r} is not: class cx cy width height; correct the line"
            problems.append(Problem(place, "", message))
        elif not 0 <= kind < len(classes):
            message = (
                f"class {kind:.0f}, but data.params.classes has {len(classes)}: "
                f"0 to {len(classes) - 1}"
            )
            problems.append(UnknownClass(place, "", message))
        elif not all(0 <= share <= 1 for share in shares):
            message = (
                f"{line.strip()[:60]!r} is not within [0, 1]; divide by the image's size, "
                f"{header.width}x{header.height}"
            )
            problems.append(Problem(place, "", message))
        else:
            x, y, half_width, half_height = (*shares[:2], shares[2] / 2, shares[3] / 2)
            left, right = x - half_width, x + half_width
            top, bottom = y - half_height, y + half_height
            width, height = header.width, header.height
            corners = (left * width, top * height, right * width, bottom * height)
            rows.append(Row(place, corners, int(kind)))
    if problems:
        raise DataError(problems)
    return rows


def read_voc(path: Path, header: Header, classes: Sequence[str]) -> list[Row]:
    """Return the boxes of a Pascal VOC file, whose pixels are counted from 1.

    Raises: DataError: it is no such file, names another size than the image's, or a class that
        is not known.
    """
    try:
        root = ElementTree.fromstring(_text(path))
    except ElementTree.ParseError as error:
        raise DataError(
            problem(path, f"is no XML that can be read ({error}); export it anew")
        ) from None
    problems: list[Problem] = []
    size = [_number(root, f"size/{edge}") for edge in ("width", "height")]
    if None in size:
        problems.append(problem(path, "has no <size> with <width> and <height>; add it"))
    elif size != [header.width, header.height]:
        message = (
            f"is of an image of {size[0]:g}x{size[1]:g} pixels, "
            f"but its image has {header.width}x{header.height}; "
            "give the one that belongs to the other"
        )
        problems.append(problem(path, message))
    rows = []
    for number, each in enumerate(root.iter("object"), start=1):
        place = f"{path}: object {number}"
        name = (each.findtext("name") or "").strip()
        corners = [_number(each, f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")]
        if name not in classes:
            problems.append(UnknownClass(place, "", _unknown_class(name, classes)))
        elif None in corners:
            message = "has no <bndbox> with xmin, ymin, xmax and ymax as numbers; add it"
            problems.append(Problem(place, "", message))
        else:
            x1, y1, x2, y2 = (float(value or 0) for value in corners)
            rows.append(Row(place, (x1 - 1, y1 - 1, x2, y2), list(classes).index(name)))
    if problems:
        raise DataError(problems)
    return rows


def read_coco(path: Path, classes: Sequence[str]) -> Table:
    """Return the boxes of a COCO file by its images' ``file_name``; crowds are told apart.

    Raises: DataError: it is no such file, or an annotation names an image or class that is
        not there.
    """
    try:
        content = json.loads(_text(path))
        images = {each["id"]: str(each["file_name"]) for each in content["images"]}
        names = {each["id"]: str(each["name"]) for each in content["categories"]}
        annotations = list(content["annotations"])
        sizes = coco_sizes(content["images"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        message = (
            f"is no COCO file with images, categories and annotations ({error!r}); "
            "add what is missing"
        )
        raise DataError(problem(path, message)) from None
    found: dict[str, list[Row]] = {name: [] for name in images.values()}
    crowds: dict[str, list[str]] = {}
    problems = []
    for number, each in enumerate(annotations):
        place = f"{path}: annotation {each.get('id', number) if isinstance(each, dict) else number}"
        wrong = _wrong_annotation(each, images, names)
        if wrong:
            problems.append(Problem(place, "", wrong))
        elif names[each["category_id"]] not in classes:
            message = _unknown_class(names[each["category_id"]], classes)
            problems.append(UnknownClass(place, "", message))
        elif each.get("iscrowd"):
            crowds.setdefault(images[each["image_id"]], []).append(place)
        else:
            x, y, width, height = (float(value) for value in each["bbox"])
            kind = list(classes).index(names[each["category_id"]])
            row = Row(place, (x, y, x + width, y + height), kind)
            found[images[each["image_id"]]].append(row)
    if problems:
        raise DataError(problems)
    return Table(found, sizes, crowds)


def read_csv(path: Path, columns: Columns, classes: Sequence[str]) -> Table:
    """Return the boxes of a CSV file with a header, by image.

    A row whose corners are empty names an image without boxes.

    Raises: DataError: it lacks a column, or a row is not what the columns say.
    """
    table = csv.DictReader(_text(path).splitlines(), strict=True)
    with _readable(path, table):
        given = [name.strip() for name in table.fieldnames or ()]
    wanted = [columns.file, columns.x1, columns.y1, columns.x2, columns.y2, columns.kind]
    missing = [name for name in wanted if name not in given]
    if missing:
        message = (
            f"has no column {', '.join(missing)} (it has {', '.join(given) or 'none'}); "
            "name them in data.params.columns"
        )
        raise DataError(problem(path, message))
    table.fieldnames = given
    found: dict[str, list[Row]] = {}
    problems = []
    for number, line in _lines(path, table):
        place = f"{path}:{number}"
        values = [(line[name] or "").strip() for name in wanted]
        boxes = found.setdefault(values[0], [])
        if not any(values[1:]):
            continue
        corners = [_finite(text) for text in values[1:5]]
        if None in corners:
            message = (
                f"{', '.join(values[1:5])} are not the corners of a box, in pixels; "
                "write x1, y1, x2, y2"
            )
            problems.append(Problem(place, "", message))
        elif values[5] not in classes:
            problems.append(UnknownClass(place, "", _unknown_class(values[5], classes)))
        else:
            x1, y1, x2, y2 = (value or 0.0 for value in corners)
            boxes.append(Row(place, (x1, y1, x2, y2), list(classes).index(values[5])))
    if problems:
        raise DataError(problems)
    return Table(found)


def _lines(
    path: Path, table: csv.DictReader[str]
) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    with _readable(path, table):
        for line in table:
            yield table.line_num, line


@contextmanager
def _readable(path: Path, table: csv.DictReader[str]) -> Iterator[None]:
    """Name the line where a CSV file is damaged."""
    try:
        yield
    except csv.Error as error:
        message = f"is no CSV that can be read ({error}); export it anew"
        raise DataError(Problem(f"{path}:{table.line_num}", "", message)) from None


def _wrong_annotation(each: Any, images: Mapping[Any, str], names: Mapping[Any, str]) -> str:
    """Return what is wrong with a COCO annotation; empty where nothing is."""
    if not isinstance(each, dict) or not {"image_id", "category_id", "bbox"} <= each.keys():
        return "lacks image_id, category_id or bbox"
    image, category, box = each["image_id"], each["category_id"], each["bbox"]
    if not isinstance(image, Hashable) or image not in images:
        return f"is of the image {str(image)[:60]}, which the file's images do not have"
    if not isinstance(category, Hashable) or category not in names:
        return f"is of category {str(category)[:60]}, which the file's categories do not have"
    is_box = isinstance(box, list) and len(box) == 4
    if not is_box or any(_finite(value) is None for value in box):
        return f"its bbox {str(box)[:60]} is not [x, y, width, height]"
    return ""


def _unknown_class(name: str, classes: Sequence[str]) -> str:
    near = suggestion(name, dict.fromkeys(classes))
    return f"the class {name!r} is not in data.params.classes; {near}"


def _number(root: ElementTree.Element, path: str) -> float | None:
    return _finite(root.findtext(path))


def _finite(value: Any) -> float | None:
    """Return a number that was written as one; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_ANNOTATION_BYTES:
            raise DataError(problem(path, "is larger than 1 GiB; split it up"))
        return read_utf8(path)
    except FileNotFoundError:
        raise DataError(problem(path, "does not exist; correct data.params.annotations")) from None
    except OSError as error:
        raise DataError(
            problem(path, f"cannot be read ({error}); check its permissions, or copy it anew")
        ) from None
