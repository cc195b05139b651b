"""A folder of images and masks, checked and opened as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from runner.contracts import Data, DataSpec, Measured, Split, Transform
from runner.data.cache import ArrayCache
from runner.data.files import collected, problem
from runner.data.links import require_folder
from runner.data.orientation import turned
from runner.data.pairs import SPLIT, Layout, Pair, check_layout
from runner.data.remarks import tell_remarks
from runner.data.segmentation.classes import (
    ClassMap,
    MaskFormat,
    Source,
    named,
    read_mapping,
    written,
)
from runner.data.segmentation.sizes import measure
from runner.data.segmentation.split import CropSplit, Pictures, SquashSplit, TileSplit
from runner.data.segmentation.store import Store, class_pixels
from runner.data.segmentation.survey import inventory
from runner.data.segmentation.unseen import require_classes
from runner.data.splits import Folders, Lists, SplitRule, assign, find_leaks
from runner.errors import DataError, Problem, RecipeError

Validation = Literal["tiles", "squash"]


@dataclass(frozen=True)
class Labels:
    """Where the meaning of a mask's pixels is written: in a file, or in the order of the names.

    Attributes:
        format: ids or colours.
        mapping: CSV file relative to the root.
        names: of the classes, where masks hold class indices; or each with its sources.
    """

    format: MaskFormat
    mapping: str | None = None
    names: Sequence[str] | Mapping[str, Sequence[Source]] | None = None


@dataclass(frozen=True)
class View:
    """How images become samples.

    Attributes:
        resize: height and width that every image is brought to first.
        crop: height and width of a training crop and of a validation tile.
        validation: how validation and test images are brought to the size of a crop.
        mean, std: of the channels, in grey levels from 0 to 255; None for each picture's own.
        transforms: of the training split.
        strong: of a second view of each training sample; there is none where empty.
        sizes_px: edges of squares, one of which each training batch is brought to.
    """

    resize: tuple[int, int] | None
    crop: tuple[int, int] | None
    validation: Validation
    mean: tuple[float, float, float] | None
    std: tuple[float, float, float] | None
    transforms: Sequence[Transform] = ()
    strong: Sequence[Transform] = ()
    sizes_px: Sequence[int] = ()


def open_folder(
    root: Path,
    layout: Layout,
    labels: Labels,
    rule: SplitRule,
    view: View,
    cache: Path | None,
    allow_leak: bool = False,
) -> Data:
    """Return a folder's splits; every file's header has been read, of pixels as few as can be.

    Args:
        root: the folder.
        layout: which files in it.
        labels: what their masks mean.
        rule: which split an image belongs to.
        view: what samples look like.
        cache: folder for decoded images; None to decode each time.
        allow_leak: whether two splits may hold the same image.

    Raises:
        RecipeError: values that contradict each other, all of them.
        DataError: everything that is wrong with the files, as far as headers show it.
    """
    if problems := contradictions(layout, labels, rule, view):
        raise RecipeError(problems)
    require_folder(root)
    problems = []
    classes: ClassMap | None = None
    splits: dict[str, tuple[Pair, ...]] = {}
    with collected(problems):
        classes = read_classes(root, labels)
    with collected(problems):
        for split, images in assign(root, layout, rule).items():
            with collected(problems):
                splits[split] = tuple(measure(root, images, labels.format, classes))
    if not allow_leak:
        problems += find_leaks(splits)
    problems += [each for pairs in splits.values() for each in uneven(root, pairs, view)]
    if problems:
        raise DataError(problems)
    assert classes is not None, "no problem, and yet no classes"
    return opened(labels, classes, splits, view, cache)


def opened(
    labels: Labels,
    classes: ClassMap,
    splits: Mapping[str, tuple[Pair, ...]],
    view: View,
    cache: Path | None,
) -> Data:
    """Return images that have been checked as a data set; what is odd about them is told.

    Args:
        labels: where it is written what the masks mean.
        classes: what their masks mean.
        splits: the images.
        view: what samples look like.
        cache: folder for decoded images; None to decode each time.
    Raises: DataError: masks of class indices hold one class, and what is ignored, alone.
    """
    store = Store(classes, view.resize, ArrayCache(cache) if cache else None)
    store.require_room([pair for pairs in splits.values() for pair in pairs])
    if labels.names is not None and not isinstance(labels.names, Mapping):
        require_classes(store, splits["train"])
    measured = Measured({"class_pixels": partial(class_pixels, store, splits["train"])})
    remarks = turned({pair.name: pair.orientation for pairs in splits.values() for pair in pairs})
    tell_remarks(remarks)
    pictures = Pictures(DataSpec(classes.classes, measured=measured), store, view.mean, view.std)
    views = {split: _viewed(split, pairs, pictures, view) for split, pairs in splits.items()}
    known = inventory(store, splits, remarks)
    return Data(pictures.spec, views, _fingerprint(splits, classes), known)


def _viewed(split: str, pairs: tuple[Pair, ...], pictures: Pictures, view: View) -> Split:
    if split == "train":
        steps, strong = tuple(view.transforms), tuple(view.strong)
        return CropSplit(pictures, pairs, view.crop, steps, strong, tuple(view.sizes_px))
    if view.validation == "squash":
        assert view.crop is not None, "checked with the recipe"
        return SquashSplit(pictures, pairs, view.crop)
    return TileSplit.of(pictures, pairs, view.crop)


def read_classes(root: Path, labels: Labels) -> ClassMap:
    """Return what the masks mean.

    Raises: DataError, RecipeError: it is not written as it should be.
    """
    if labels.mapping is not None:
        return read_mapping(root / labels.mapping, labels.format)
    assert labels.names is not None, "checked with the recipe"
    if isinstance(labels.names, Mapping):
        return written(labels.names, labels.format)
    return named(labels.names)


def contradictions(layout: Layout, labels: Labels, rule: SplitRule, view: View) -> list[Problem]:
    """Return a problem for every value of the recipe that contradicts another."""
    problems: list[Problem] = []
    try:
        check_layout(layout)
    except RecipeError as error:
        problems += error.problems

    def wrong(key: str, message: str) -> None:
        problems.append(Problem("", f"data.params.{key}", message))

    if (labels.mapping is None) == (labels.names is None):
        wrong("mapping", "write either mapping (a CSV file) or classes, not both")
    elif labels.format == "rgb" and isinstance(labels.names, list | tuple):
        wrong("mask_format", "rgb masks need the colours of each class: write them, or a mapping")
    if layout.has_split != isinstance(rule, Folders):
        wrong("images", f"{SPLIT} stands for splits.folders: write both or neither")
    if view.validation == "squash" and view.crop is None:
        wrong("validation", "squash brings images to the size of a crop; set crop, or write tiles")
    files = list(rule.files.values()) if isinstance(rule, Lists) else []
    folders = list(rule.names.values()) if isinstance(rule, Folders) else []
    problems += leaving("splits", (*files, *folders))
    problems += leaving("mapping", (labels.mapping,) if labels.mapping else ())
    return problems


def leaving(key: str, paths: Sequence[str]) -> list[Problem]:
    """Return a problem for each path of a parameter that leaves the root."""
    message = "leaves the root; write it relative to the root"
    return [
        Problem("", f"data.params.{key}", f"{path!r} {message}")
        for path in paths
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts
    ]


def uneven(root: Path, pairs: Sequence[Pair], view: View) -> list[Problem]:
    """Return a problem for each image that would not fit into a batch with the first."""
    if view.crop is not None or view.resize is not None:
        return []
    shape = pairs[0].height, pairs[0].width
    return [
        problem(
            root / pair.name,
            f"is {pair.width}x{pair.height} pixels, {pairs[0].name} {shape[1]}x{shape[0]}; "
            "set data.params.crop or data.params.resize",
        )
        for pair in pairs
        if (pair.height, pair.width) != shape
    ]


def _fingerprint(splits: Mapping[str, Sequence[Pair]], classes: ClassMap) -> str:
    """Return what changes with a name, a size, the split of a file or the meaning of a mask."""
    files = [
        (
            split if pair.is_labelled else f"{split} unlabelled",
            pair.name,
            pair.image.size_bytes,
            pair.mask.size_bytes if pair.mask is not None else 0,
        )
        for split, pairs in splits.items()
        for pair in pairs
    ]
    text = repr((sorted(files), classes.classes, classes.content))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
