"""A folder of images of which few have masks, checked and opened as a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from runner.contracts import Data
from runner.data.files import collected, problem
from runner.data.links import require_folder
from runner.data.pairs import Layout, Pair
from runner.data.remarks import NAMED
from runner.data.segmentation.classes import ClassMap
from runner.data.segmentation.folder import (
    Labels,
    View,
    contradictions,
    leaving,
    opened,
    read_classes,
    uneven,
)
from runner.data.segmentation.partly_labelled_streams import SOURCE, Choice, Streams, assign_streams
from runner.data.segmentation.sizes import measure
from runner.data.splits import SplitRule, find_leaks
from runner.errors import DataError, Problem, RecipeError
from runner.statistics import Remark

Leak = Literal["shared_image", "shared_source", "validation_unlabelled"]


def open_partly_labelled(
    root: Path,
    layout: Layout,
    labels: Labels,
    rule: SplitRule,
    choice: Choice,
    view: View,
    cache: Path | None,
    allowed: Collection[Leak] = (),
) -> Data:
    """Return a folder's splits; every file's header has been read, of pixels as few as can be.

    Args:
        root: the folder.
        layout: which files in it; of an image that is not labelled the mask may be missing.
        labels: what the masks mean.
        rule: which split a labelled image belongs to.
        choice: which images are labelled, and which of the others are trained on.
        view: what samples look like.
        cache: folder for decoded images; None to decode each time.
        allowed: kinds of leak that are let be.

    Raises:
        RecipeError: values that contradict each other, all of them.
        DataError: everything that is wrong with the files, as far as headers show it.
    """
    if problems := contradictions(layout, labels, rule, view) + _contradictions(choice):
        raise RecipeError(problems)
    require_folder(root)
    problems = []
    classes: ClassMap | None = None
    streams: Streams | None = None
    splits: dict[str, tuple[Pair, ...]] = {}
    unlabelled: tuple[Pair, ...] = ()
    with collected(problems):
        classes = read_classes(root, labels)
    with collected(problems):
        streams = assign_streams(root, layout, rule, choice)
        for split, images in streams.labelled.items():
            with collected(problems):
                splits[split] = tuple(measure(root, images, labels.format, classes))
        with collected(problems):
            names = streams.unlabelled
            unlabelled = tuple(measure(root, names, labels.format, classes, is_labelled=False))
    if streams is not None:
        problems += _leaks(root, splits, unlabelled, streams.sources, allowed)
    trained = (*splits.get("train", ()), *unlabelled)
    for pairs in ({**splits, "train": trained}).values():
        problems += uneven(root, pairs, view) if pairs else []
    if problems:
        raise DataError(problems)
    assert classes is not None, "no problem, and yet no classes"
    assert streams is not None, "no problem, and yet no streams"
    data = opened(labels, classes, {**splits, "train": trained}, view, cache)
    assert data.inventory is not None, "images with masks are listed"
    remarks = (*data.inventory.remarks, *_remarks(streams))
    return replace(data, inventory=replace(data.inventory, remarks=remarks))


def _contradictions(choice: Choice) -> list[Problem]:
    lists = [path for path in (choice.labelled, choice.unlabelled) if path is not None]
    problems = leaving("labels", lists)
    if choice.source is not None and choice.source.count(SOURCE) != 1:
        message = (
            f"{choice.source!r} says nowhere, or more than once, what an image was cut from; "
            f"write {SOURCE} once, and * for any part of a name"
        )
        problems.append(Problem("", "data.params.source", message))
    return problems


def _leaks(
    root: Path,
    splits: Mapping[str, Sequence[Pair]],
    unlabelled: Sequence[Pair],
    sources: Mapping[str, str],
    allowed: Collection[Leak],
) -> list[Problem]:
    """Return a problem for each image, or source, that is trained on and measured by."""
    problems: list[Problem] = []
    held = {split: pairs for split, pairs in splits.items() if split != "train"}
    if "shared_image" not in allowed:
        problems += find_leaks(splits, "[shared_image]")
    if "validation_unlabelled" not in allowed:
        for split, pairs in held.items():
            both = {split: pairs, "train, unlabelled": unlabelled}
            problems += find_leaks(both, "[validation_unlabelled]")
    if "shared_source" not in allowed:
        # An image that is measured by and drawn unlabelled has been told as that.
        measured = {pair.name for pairs in held.values() for pair in pairs}
        others = [pair for pair in unlabelled if pair.name not in measured]
        problems += _shared_sources(
            root, {"train": [*splits.get("train", ()), *others], **held}, sources
        )
    return problems


def _shared_sources(
    root: Path, splits: Mapping[str, Sequence[Pair]], sources: Mapping[str, str]
) -> list[Problem]:
    """Return a problem for each source of which two splits hold different images."""
    held: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for split, pairs in splits.items():
        for pair in pairs:
            held[sources[pair.name]][split].append(pair.name)
    problems = []
    for source, by_split in sorted(held.items()):
        if len(by_split) < 2 or len({name for names in by_split.values() for name in names}) < 2:
            continue
        places = ", ".join(
            f"{len(names)} in {split!r} ({names[0]})" for split, names in by_split.items()
        )
        message = (
            f"images of the source {source!r} are on both sides of a split: {places}; keep them "
            "in one (splits.fractions do, by: source), or set data.params.allow_leak: "
            "[shared_source]"
        )
        problems.append(problem(root, message))
    return problems


def _remarks(streams: Streams) -> tuple[Remark, ...]:
    """Return what has been left out of the training, and why."""
    if not streams.left_out:
        return ()
    message = (
        f"{len(streams.left_out)} unlabelled images are not trained on: what they were cut from "
        "validates"
    )
    places = [each.name for each in streams.left_out[:NAMED]]
    count = len(streams.left_out)
    return (Remark(kind="left_out", level="note", message=message, places=places, count=count),)
