"""Annotation files that belong to no image of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from runner.data.companions import lacking
from runner.data.files import problem
from runner.data.pairs import SPLIT, STEM, Layout, Named, find_images
from runner.data.splits import Folders, Lists, SplitRule
from runner.errors import Problem

_SHOWN = 20
"""Stray files that are named one by one."""

_BESIDE = ("classes.txt", "readme")
"""How names begin of what lies beside labels and is none: YOLO's list of class names, a note."""


def all_images(root: Path, layout: Layout, rule: SplitRule) -> list[Named]:
    """Return the images of all splits, and those that lists leave out."""
    return [each for folder in _folders(rule) for each in find_images(root, layout, folder)]


def strays(root: Path, layout: Layout, rule: SplitRule) -> list[Problem]:
    """Return a problem for each annotation of an image that does not exist.

    Args:
        root: the folder.
        layout: which images in it, and the annotation of each as its mask.
        rule: which split an image belongs to.
    """
    known = {each.mask for each in all_images(root, layout, rule)}
    known |= set(rule.files.values()) if isinstance(rule, Lists) else set()
    patterns = {layout.masks.replace(STEM, "*").replace(SPLIT, each) for each in _folders(rule)}
    found = [
        path
        for pattern in sorted(patterns)
        for path in sorted(root.glob(pattern))
        # Hidden files are what archives and file browsers leave behind (._0001.xml).
        if path.relative_to(root).as_posix() not in known
        and not path.name.lower().startswith((".", *_BESIDE))
    ]
    cure = f"there is none of this name that {layout.images!r} matches; add it, or take this away"
    problems = [problem(path, f"annotates no image: {cure}") for path in found[:_SHOWN]]
    if len(found) > _SHOWN:
        count = len(found) - _SHOWN
        problems.append(problem(root, f"{count:,} more files annotate no image; see those above"))
    return problems


def without_annotation(root: Path, images: Iterable[Named]) -> list[Problem]:
    """Return the problems of images whose annotation is not there."""
    files = [(each.name, each.mask) for each in images]
    return lacking(root, files, "annotation", "", "data.params.annotations")


def _folders(rule: SplitRule) -> Sequence[str]:
    return list(rule.names.values()) if isinstance(rule, Folders) else [""]
