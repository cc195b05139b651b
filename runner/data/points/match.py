"""Which points belong to which image of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from runner.data.box_faults import Fault
from runner.data.cache import Stamp
from runner.data.files import collected, problem, read_header
from runner.data.pairs import Layout, Named, Pair, find_images
from runner.data.points import beside, tables
from runner.data.points.beside import points_of
from runner.data.points.canvas import Points
from runner.data.points.tables import Notes, check_categories, read_json
from runner.data.splits import Lists, SplitRule, assign
from runner.data.stated_sizes import size_problems
from runner.data.strays import all_images, strays, without_annotation
from runner.data.written_names import ImageNames, Spellings, both
from runner.errors import DataError, Problem

Format = Literal["fsc147", "csv", "json", "coco", "voc", "yolo", "dots"]

_SHOWN = 20
"""Images of one kind of problem that are named one by one."""


@dataclass(frozen=True)
class PointedImage:
    """An image whose objects are known.

    Attributes:
        pair: the image, and the file that its points come from in place of a mask.
        points: of its objects, as given, within the image; at least one.
    """

    pair: Pair
    points: Points


@dataclass(frozen=True)
class Annotations:
    """Where points are written.

    Attributes:
        format: of the file or files.
        path: below root; of one file for all images, or with ``{stem}`` or ``*`` of one for each.
        categories: of the boxes that count; all where None.
    """

    format: Format
    path: str
    categories: Sequence[str] | None = None

    @property
    def is_table(self) -> bool:
        """Whether one file holds the points of all images."""
        return self.format in tables.READERS


def match(
    root: Path, layout: Layout, annotations: Annotations, rule: SplitRule
) -> tuple[dict[str, tuple[PointedImage, ...]], list[Fault], list[str]]:
    """Return the images of each split with their points, and what is odd about single boxes.

    Returns: the images; what is wrong with boxes; where boxes stand for crowds and are left out.

    Raises: DataError: everything that is wrong with images, annotations and lists.
    """
    splits = _assigned(root, layout, rule)
    every = list({each.name: each for images in splits.values() for each in images}.values())
    problems: list[Problem] = []
    notes = Notes()
    if annotations.is_table:
        found = _from_table(root, layout, rule, annotations, problems, notes)
    else:
        found = _from_files(root, every, annotations, problems, notes)
        problems += strays(root, layout, rule)
    pointed: dict[str, PointedImage] = {}
    empty: list[str] = []
    for each in every:
        points = found.get(each.name)
        if points is None and not annotations.is_table:
            continue  # Its file is missing or damaged, and has been reported.
        if points is None or len(points) == 0:
            empty.append(each.name)
            continue
        with collected(problems):
            pointed[each.name] = _checked(root, each, points)
    stored = {name: (each.pair.height, each.pair.width) for name, each in pointed.items()}
    problems += size_problems(root / annotations.path, notes.sizes, stored)
    problems += _without_points(root, empty, annotations.categories)
    if problems:
        raise DataError(problems)
    matched = {
        split: tuple(pointed[each.name] for each in images) for split, images in splits.items()
    }
    faults = [fault for each in every for fault in notes.faults.get(each.name, ())]
    return matched, faults, [place for each in every for place in notes.crowds.get(each.name, ())]


def _without_points(
    root: Path, names: Sequence[str], categories: Sequence[str] | None
) -> list[Problem]:
    """Return a problem for each image without points, beyond some for all others together."""
    what = "no points" if categories is None else f"no points of {', '.join(categories)}"
    also = "" if categories is None else ", or correct data.params.categories"
    cure = f"{what}; annotate its objects, or take the image away{also}"
    problems = [problem(root / name, f"has {cure}") for name in names[:_SHOWN]]
    if len(names) > _SHOWN:
        cure = f"{what}; annotate them, or take them away{also}"
        problems.append(problem(root, f"{len(names) - _SHOWN} more images have {cure}"))
    return problems


def _assigned(root: Path, layout: Layout, rule: SplitRule) -> dict[str, list[Named]]:
    """Return the images of each split; a list may be JSON, as FSC-147 has it."""
    if not (
        isinstance(rule, Lists) and any(file.endswith(".json") for file in rule.files.values())
    ):
        return assign(root, layout, rule)
    images = {each.name: each for each in find_images(root, layout)}
    names = ImageNames(root, images)
    problems: list[Problem] = []
    splits: dict[str, list[Named]] = {}
    for split, file in rule.files.items():
        with collected(problems):
            lists = read_json(root / file)
            if not isinstance(lists, dict) or not isinstance(lists.get(split), list):
                message = f"has no list of images called {split!r}; correct data.params.splits"
                raise DataError(problem(root / file, message))
            splits[split] = []
            for name in map(str, lists[split]):
                named = names.meant_by(name).images
                if len(named) == 1:
                    splits[split].append(images[named[0]])
                    continue
                wrong = (
                    f"names {len(named)} images"
                    if named
                    else "is no image that data.params.images matches; correct one of the two"
                )
                problems.append(problem(root / file, f"{split}: {name!r} {wrong}"))
            if not lists[split]:
                problems.append(
                    problem(root / file, f"the split {split!r} is empty; name images of it")
                )
    if problems:
        raise DataError(problems)
    return splits


def _from_table(
    root: Path,
    layout: Layout,
    rule: SplitRule,
    annotations: Annotations,
    problems: list[Problem],
    notes: Notes,
) -> dict[str, Points]:
    """Return the points by image of the folder; an annotation without image is a problem.

    Raises: DataError: the table cannot be read; no image is held against it then.
    """
    file = root / annotations.path
    told = Notes()
    table = tables.READERS[annotations.format](file, annotations.categories, told)
    names = ImageNames(root, (each.name for each in all_images(root, layout, rule)))
    spellings = Spellings()
    found: dict[str, Points] = {}
    written: dict[str, str] = {}
    for name, points in table.items():
        meant = names.meant_by(name)
        if other := spellings.other(name, meant):
            problems.append(problem(file, both(other, name, meant)))
        elif len(meant.images) == 1:
            [image] = meant.images
            first = written.setdefault(image, name)
            notes.faults.setdefault(image, []).extend(told.faults.get(name, ()))
            notes.crowds.setdefault(image, []).extend(told.crowds.get(name, ()))
            if name in told.sizes:
                notes.sizes[image] = told.sizes[name]
            if first == name:
                found[image] = points
            elif annotations.format == "csv":
                found[image] = np.concatenate([found[image], points])
            else:
                message = f"{first!r} and {name!r} are both {image}; put its points under one name"
                problems.append(problem(file, message))
        elif meant.images:
            count = len(meant.images)
            message = f"{name!r} is the name of {count} images; write the path from the root"
            problems.append(problem(file, message))
        elif len(points):
            message = (
                f"annotates {name!r}, but no such image matches {layout.images!r}; "
                "add the image, or take the annotation away"
            )
            problems.append(problem(file, message))
    return found


def _from_files(
    root: Path,
    images: Sequence[Named],
    annotations: Annotations,
    problems: list[Problem],
    notes: Notes,
) -> dict[str, Points]:
    read = beside.READERS[annotations.format]
    wanted = annotations.categories
    found: dict[str, Points] = {}
    seen: Counter[str] = Counter()
    problems += without_annotation(root, images)
    for each in images:
        file = root / each.mask
        if not file.is_file():
            continue  # It has been told.
        with collected(problems):
            header = read_header(root / each.name)
            marked = read(file, (header.height, header.width))
            seen.update(one.category for one in marked)
            counted = [one for one in marked if wanted is None or one.category in wanted]
            found[each.name] = points_of(counted)
            notes.faults[each.name] = [one.fault for one in counted if one.fault is not None]
    if wanted is not None and seen:
        with collected(problems):
            check_categories(root, wanted, list(seen))
    return found


def _checked(root: Path, image: Named, points: Points) -> PointedImage:
    """Return the image with its points.

    Raises: DataError: it cannot be read, or points lie outside of it.
    """
    path = root / image.name
    header = read_header(path)
    is_outside = ((points < 0) | (points > (header.width, header.height))).any(1)
    if is_outside.any():
        x, y = points[is_outside][0]
        message = (
            f"point {x:g}, {y:g} lies outside of the image, {header.width}x{header.height} pixels "
            f"({is_outside.sum()} of its {len(points)} points do); correct the annotation"
        )
        raise DataError(problem(path, message))
    annotation = root / image.mask
    stamps = Stamp.of(path), Stamp.of(annotation)
    size, how = (header.height, header.width), header.orientation
    return PointedImage(Pair(image.name, image.identity, *stamps, *size, orientation=how), points)
