"""A folder of images and points, checked and opened as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from runner.contracts import Data, Measured, Split
from runner.data.box_faults import crowd_remarks, fault_remarks, tell
from runner.data.links import require_folder
from runner.data.orientation import turned
from runner.data.pairs import SPLIT, STEM, Layout
from runner.data.points.draws import fixed_draws
from runner.data.points.match import Annotations, PointedImage, match
from runner.data.points.split import PointFixedSplit, PointTrainSplit, PointView, objects_of
from runner.data.points.survey import COUNTED, inventory, repeated
from runner.data.remarks import tell_remarks
from runner.data.splits import Folders, Lists, SplitRule, find_leaks
from runner.errors import DataError, Problem, RecipeError


@dataclass(frozen=True)
class Looks:
    """What an evaluation looks at.

    Attributes:
        draws: steps of pointing that are scored.
        done_share: of them in which nothing is left to point at.
        counted: images whose objects are counted by pointing until done.
    """

    draws: int
    done_share: float
    counted: int


def open_points(
    root: Path,
    images: str,
    annotations: Annotations,
    rule: SplitRule,
    view: PointView,
    looks: Looks,
    allow_leak: bool = False,
) -> Data:
    """Return a folder's splits; all annotations and every image's header have been read.

    Args:
        root: the folder.
        images: pattern of the images.
        annotations: where points are written.
        rule: which split an image belongs to.
        view: what samples look like.
        looks: what evaluations look at.
        allow_leak: whether two splits may hold the same image.

    Raises:
        RecipeError: values that contradict each other, all of them.
        DataError: everything that is wrong with images and annotations.
    """
    _check(images, annotations, rule)
    require_folder(root)
    splits, faults, crowds = match(root, Layout(images, annotations.path), annotations, rule)
    if not allow_leak:
        pairs = {split: [each.pair for each in members] for split, members in splits.items()}
        if leaks := find_leaks(pairs):
            raise DataError(leaks)
    every = {each.pair.name: each for members in splits.values() for each in members}
    remarks = turned({name: each.pair.orientation for name, each in every.items()})
    remarks += [*crowd_remarks(crowds), *repeated(list(every.values()))]
    tell(faults)
    tell_remarks(remarks)
    view.require_room([each for members in splits.values() for each in members])
    measured = Measured(
        {
            "objects": partial(objects_of, splits["train"]),
            "done_share_mixed": partial(_done_share, splits["train"]),
        }
    )
    view = replace(view, spec=replace(view.spec, measured=measured))
    opened: dict[str, Split] = {}
    for split, members in splits.items():
        if split == "train":
            opened[split] = PointTrainSplit(view, members)
            continue
        objects = tuple(len(each.points) for each in members)
        draws = fixed_draws(objects, looks.draws, looks.done_share, looks.counted)
        opened[split] = PointFixedSplit(view, members, draws)
    known = inventory(splits, [*remarks, *fault_remarks(faults, COUNTED)])
    return Data(view.spec, opened, _fingerprint(splits), known)


def _done_share(images: Sequence[PointedImage]) -> list[float]:
    """Return which share of draws is done where each number of marks is equally likely."""
    return [float(np.mean([1 / (1 + objects) for objects in objects_of(images)]))]


def _check(images: str, annotations: Annotations, rule: SplitRule) -> None:
    """Raise a RecipeError with every value that contradicts another."""
    problems: list[Problem] = []

    def wrong(key: str, message: str) -> None:
        problems.append(Problem("", f"data.params.{key}", message))

    files = list(rule.files.values()) if isinstance(rule, Lists) else []
    folders = list(rule.names.values()) if isinstance(rule, Folders) else []
    paths = {"images": [images], "annotations": [annotations.path], "splits": [*files, *folders]}
    for key, written in paths.items():
        for path in written:
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or not path:
                wrong(key, f"{path!r} leaves the root; write it relative to the root")
    varies = STEM in annotations.path or "*" in annotations.path
    if annotations.is_table and varies:
        wrong("annotations", f"{annotations.format} is one file for all images; write its path")
    elif not annotations.is_table and not varies:
        message = f"{annotations.format} is a file for each image; write {STEM} for what differs"
        wrong("annotations", message)
    if annotations.path.count("*") > images.count("*"):
        wrong("annotations", "has more * than images; each stands for what the image's stands for")
    if (SPLIT in images) != isinstance(rule, Folders):
        wrong("images", f"{SPLIT} stands for splits.folders: write both or neither")
    if annotations.categories is not None and annotations.format not in ("coco", "voc", "yolo"):
        wrong("categories", f"{annotations.format} has points and no categories; leave this out")
    if problems:
        raise RecipeError(problems)


def _fingerprint(splits: Mapping[str, Sequence[PointedImage]]) -> str:
    """Return what changes with a name, a size, the split of a file or a point."""
    files = [
        (split, each.pair.name, each.pair.image.size_bytes, each.points.tolist())
        for split, members in splits.items()
        for each in members
    ]
    return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:16]
