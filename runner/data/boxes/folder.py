"""A folder of images with boxes in one of four formats, checked and opened as a data set."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from runner.contracts import Data, DataSpec, Measured, Transform
from runner.data.box_faults import Fault, crowd_remarks, fault_remarks, tell
from runner.data.boxes.formats import (
    PER_IMAGE,
    BoxFormat,
    Columns,
    Table,
    read_coco,
    read_csv,
    read_voc,
    read_yolo,
    told_once,
)
from runner.data.boxes.images import Picture, Row, mended
from runner.data.boxes.split import BoxSplit, BoxView
from runner.data.boxes.survey import inventory, unannotated
from runner.data.cache import Stamp
from runner.data.files import Header, collected, problem, read_header
from runner.data.links import broken, require_folder
from runner.data.orientation import turned
from runner.data.pairs import SPLIT, STEM, Layout, Named
from runner.data.remarks import tell_remarks
from runner.data.splits import Folders, SplitRule, assign, find_leaks
from runner.data.stated_sizes import Size, size_problems
from runner.data.strays import strays, without_annotation
from runner.data.written_names import ImageNames, Spellings, both
from runner.errors import DataError, Problem, RecipeError
from runner.statistics import Remark


@dataclass(frozen=True)
class BoxLabels:
    """Where boxes are written down.

    Attributes:
        format: of the files.
        annotations: the file of an image or of many, as ``Layout.masks``.
        classes: names in the order of their indices.
        columns: of a CSV file.
    """

    format: BoxFormat
    annotations: str
    classes: tuple[str, ...]
    columns: Columns


def open_boxes(
    root: Path,
    images: str,
    labels: BoxLabels,
    rule: SplitRule,
    view: BoxView,
    *,
    transforms: Sequence[Transform] = (),
    faulty: Literal["mend", "refuse"] = "mend",
    allow_leak: bool = False,
) -> Data:
    """Return a folder's splits; headers and annotations have been read, no pixel yet.

    Args:
        root: the folder.
        images: pattern of the images.
        labels: where their boxes are.
        rule: which split an image belongs to.
        view: what samples look like.
        transforms: of the training split.
        faulty: whether degenerate, outside and duplicate boxes are mended, and told, or refused.
        allow_leak: whether two splits may hold the same image.

    Raises:
        RecipeError: values that contradict each other, all of them.
        DataError: everything that is wrong with the files.
    """
    _check(images, labels, rule)
    require_folder(root)
    problems: list[Problem] = []
    splits: dict[str, tuple[Picture, ...]] = {}
    faults: list[Fault] = []
    layout = Layout(images, labels.annotations)
    remarks: list[Remark] = []
    with collected(problems):
        named = assign(root, layout, rule)
        if labels.format in PER_IMAGE:
            problems += strays(root, layout, rule)
        splits, faults, remarks = read_pictures(root, named, labels)
        every = [one for each in splits.values() for one in each]
        remarks += turned({one.name: one.orientation for one in every})
        tell(faults)
        tell_remarks(remarks)
        if faulty == "refuse":
            cure = "mend it, or set data.params.faulty: mend"
            problems += [Problem(one.place, "", f"{one.message}; {cure}") for one in faults]
    if splits and not allow_leak:
        problems += find_leaks(splits)
    if splits and not any(len(picture.boxes) for picture in splits["train"]):
        message = "no image of the training split has a box; correct data.params.annotations"
        problems.append(problem(root, message))
    if problems:
        raise DataError(problems)
    view.require_room([picture for pictures in splits.values() for picture in pictures])
    measured = Measured({"class_boxes": lambda: class_boxes(splits["train"], len(labels.classes))})
    spec = DataSpec(labels.classes, ragged=frozenset({"boxes"}), measured=measured)
    opened = {
        split: BoxSplit(spec, pictures, view, tuple(transforms) if split == "train" else ())
        for split, pictures in splits.items()
    }
    remarks += fault_remarks(faults)
    known = inventory(splits, len(labels.classes), view.size, remarks)
    return Data(spec, opened, _fingerprint(splits, labels.classes), known)


def read_pictures(
    root: Path, named: Mapping[str, Sequence[Named]], labels: BoxLabels
) -> tuple[dict[str, tuple[Picture, ...]], list[Fault], list[Remark]]:
    """Return each split's images with their boxes, what is wrong with boxes, and what is left out.

    What has no file of its own, or does not stand in the file of all, shows no object.

    Raises: DataError: all files that are missing, damaged or say what cannot be.
    """
    problems: list[Problem] = []
    faults: list[Fault] = []
    shared: dict[str, Table] = {}
    stored: dict[str, dict[str, Size]] = defaultdict(dict)
    if labels.format not in PER_IMAGE:
        known = [each for images in named.values() for each in images]
        for file in dict.fromkeys(each.mask for each in known):
            with collected(problems):
                shared[file] = _shared_table(root, file, labels, known)
        if problems:
            raise DataError(told_once(problems))
    splits: dict[str, tuple[Picture, ...]] = {}
    without: dict[str, None] = {}
    for split, images in named.items():
        pictures = []
        if labels.format == "voc":
            problems += without_annotation(root, images)
        for each in images:
            table = shared.get(each.mask)
            is_there = (root / each.mask).is_file() if table is None else each.name in table.rows
            if not is_there and labels.format == "voc":
                continue  # It has been told.
            if not is_there and table is None and (wrong := broken(root / each.mask)):
                problems.append(wrong)
                continue
            if not is_there:
                without[each.name] = None
            with collected(problems):
                header = read_header(root / each.name)
                if table is None:
                    rows = _own_rows(root, each, header, labels)
                else:
                    rows = table.rows.get(each.name, [])
                boxes, found = mended(rows, header.height, header.width)
                faults += found
                stamp = Stamp.of(root / each.name)
                size = header.height, header.width
                stored[each.mask][each.name] = size
                how = header.orientation
                pictures.append(Picture(each.name, each.identity, stamp, *size, boxes, how))
        splits[split] = tuple(pictures)
    for file, table in shared.items():
        problems += size_problems(root / file, table.sizes, stored[file])
    if problems:
        raise DataError(told_once(problems))
    remarks = unannotated(without, len({one.name for each in named.values() for one in each}))
    crowds = [each for table in shared.values() for each in table.crowds.values()]
    return splits, faults, remarks + crowd_remarks([place for each in crowds for place in each])


def class_boxes(pictures: Sequence[Picture], classes: int) -> list[float]:
    """Return the boxes of each class."""
    kinds = np.concatenate([picture.boxes[:, 4] for picture in pictures]).astype(np.int64)
    return [float(count) for count in np.bincount(kinds, minlength=classes)]


def _own_rows(root: Path, image: Named, header: Header, labels: BoxLabels) -> list[Row]:
    path = root / image.mask
    if labels.format == "yolo":
        # By convention an image that shows nothing has no file.
        return read_yolo(path, header, labels.classes) if path.exists() else []
    return read_voc(path, header, labels.classes)


def _shared_table(root: Path, file: str, labels: BoxLabels, known: Sequence[Named]) -> Table:
    """Return what a file says by the images' names from the root.

    Raises: DataError: the file names images that are not there.
    """
    path = root / file
    if labels.format == "coco":
        found = read_coco(path, labels.classes)
    else:
        found = read_csv(path, labels.columns, labels.classes)
    mine = [each.name for each in known if each.mask == file]
    images, spellings = ImageNames(root, mine), Spellings()
    folders = {PurePosixPath(name).parent for name in mine} | {PurePosixPath(file).parent}
    table = Table()
    problems: list[Problem] = []
    for written, boxes in found.rows.items():
        meant = images.meant_by(written)
        place = boxes[0].place if boxes else str(path)
        if other := spellings.other(written, meant):
            problems.append(Problem(place, "", both(other, written, meant)))
        elif len(meant.images) == 1:
            [name] = meant.images
            table.rows.setdefault(name, []).extend(boxes)
            if written in found.sizes:
                table.sizes[name] = found.sizes[written]
            if written in found.crowds:
                table.crowds[name] = found.crowds[written]
        elif meant.images:
            count = len(meant.images)
            message = f"{written!r} is the name of {count} images; write paths from the root"
            problems.append(Problem(place, "", message))
        # An image that lies there and is in no split of the recipe is none of our business;
        # of a name too long for a file os.path says so without an error.
        elif not any(isfile(root / folder / written) for folder in folders):
            message = f"is of the image {written!r}, which does not exist; add or remove it"
            problems.append(Problem(place, "", message))
    if problems:
        raise DataError(problems)
    return table


def _check(images: str, labels: BoxLabels, rule: SplitRule) -> None:
    """Raise a RecipeError with every value that contradicts another."""
    problems: list[Problem] = []

    def wrong(key: str, message: str) -> None:
        problems.append(Problem("", f"data.params.{key}", message))

    for key, pattern in (("images", images), ("annotations", labels.annotations)):
        if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
            wrong(key, f"{pattern!r} leaves the root; write it relative to the root")
    if (SPLIT in images) != isinstance(rule, Folders):
        wrong("images", f"{SPLIT} stands for splits.folders: write both or neither")
    if SPLIT in labels.annotations and SPLIT not in images:
        wrong("annotations", f"has {SPLIT}, which data.params.images does not have")
    is_own = STEM in labels.annotations or "*" in labels.annotations
    if labels.format in PER_IMAGE and not is_own:
        wrong("annotations", f"is the same file for every image; write {STEM} for what differs")
    if labels.format not in PER_IMAGE and is_own:
        wrong("annotations", f"{labels.format} has one file for many images; name that file")
    if labels.format != "csv" and labels.columns != Columns():
        wrong("columns", f"{labels.format} has no columns; remove this key")
    if problems:
        raise RecipeError(problems)


def _fingerprint(splits: Mapping[str, Sequence[Picture]], classes: Sequence[str]) -> str:
    """Return what changes with a name, a size, the split of a file or a box."""
    digest = hashlib.sha256(repr(tuple(classes)).encode())
    for split, pictures in sorted(splits.items()):
        for picture in pictures:
            digest.update(repr((split, picture.name, picture.image.size_bytes)).encode())
            digest.update(picture.boxes.tobytes())
    return digest.hexdigest()[:16]
