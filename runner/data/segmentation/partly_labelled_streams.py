"""Which images of a folder are trained on with their masks, and which without."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.data.files import collected, problem
from runner.data.links import broken
from runner.data.pairs import SPLIT, Layout, Named, find_images
from runner.data.splits import Fractions, SplitRule, assign, deal_groups, listed
from runner.errors import DataError, Problem

SOURCE = "{source}"
LABELS = "data.params.labels"


@dataclass(frozen=True)
class Choice:
    """How images with a mask to train on are told from the others.

    Attributes:
        labelled, unlabelled: lists relative to the root; where one is missing all images that the
            other does not name are meant, where both are, an image without mask is unlabelled.
        source: pattern of an image's name with ``{source}`` for what it was cut from; None where
            each image stands alone.
        is_dealt_by_source: whether fractions keep the images of a source in one split.
        streams: splits whose images are drawn without their masks, ``train`` among them or not.
    """

    labelled: str | None = None
    unlabelled: str | None = None
    source: str | None = None
    is_dealt_by_source: bool = True
    streams: tuple[str, ...] = ("train",)


@dataclass(frozen=True)
class Streams:
    """Images by what they serve for, each list in order of name.

    Attributes:
        labelled: of each split.
        unlabelled: that are trained on without their masks.
        left_out: unlabelled images whose source validates.
        sources: of each image's name.
    """

    labelled: Mapping[str, Sequence[Named]]
    unlabelled: Sequence[Named]
    left_out: Sequence[Named]
    sources: Mapping[str, str]


def assign_streams(root: Path, layout: Layout, rule: SplitRule, choice: Choice) -> Streams:
    """Return the images of each split, and those that are trained on without masks.

    Raises: DataError: no image matches, a list names what is not there, an image has no source or
        stands in neither list, a split is empty, nothing of the training split is labelled.
    """
    splits = {} if isinstance(rule, Fractions) else assign(root, layout, rule)
    everything = _distinct(splits.values()) if layout.has_split else find_images(root, layout)
    problems: list[Problem] = []
    sources: dict[str, str] = {}
    labelled: set[str] = set()
    unlabelled: set[str] = set()
    with collected(problems):
        sources = _sources(root, everything, choice.source)
    with collected(problems):
        labelled, unlabelled = _told_apart(root, everything, choice)
    if problems:
        raise DataError(problems)
    is_named = choice.labelled is not None and choice.unlabelled is not None
    trained = everything if isinstance(rule, Fractions) else splits["train"]
    if is_named:
        _refuse_unnamed(root, trained, labelled | unlabelled)
    if isinstance(rule, Fractions):
        members = [each for each in everything if each.name in labelled]
        own = sources if choice.is_dealt_by_source else {each.name: each.name for each in members}
        splits = deal_groups(members, own, rule)
        candidates = [each for each in everything if each.name in unlabelled]
    else:
        # What a list names is meant, wherever it lies; a leak is found later, and told.
        within = everything if choice.unlabelled is not None else splits["train"]
        candidates = [each for each in within if each.name in unlabelled]
        kept = [each for each in splits["train"] if each.name in labelled]
        splits = {**splits, "train": kept}
    left_out: list[Named] = []
    if isinstance(rule, Fractions) and choice.is_dealt_by_source:
        held = {
            sources[each.name] for split in splits if split != "train" for each in splits[split]
        }
        left_out = [each for each in candidates if sources[each.name] in held]
        candidates = [each for each in candidates if sources[each.name] not in held]
    streams = [candidates if "train" in choice.streams else []]
    streams += [splits[split] for split in choice.streams if split != "train" and split in splits]
    _require_members(root, splits)
    return Streams(splits, _distinct(streams), left_out, sources)


def _distinct(groups: Iterable[Sequence[Named]]) -> list[Named]:
    found = {each.name: each for group in groups for each in group}
    return [found[name] for name in sorted(found)]


def _sources(root: Path, images: Sequence[Named], pattern: str | None) -> dict[str, str]:
    """Return what each image was cut from: its name where nothing is known."""
    if pattern is None:
        return {each.name: each.name for each in images}
    parts = re.split(r"(\*|\{split\}|\{source\})", pattern)
    # What tells sources apart is all that varies up to the end of {source}; not the split's folder.
    known = {"*": "([^/]*)", SPLIT: "[^/]*", SOURCE: "([^/]*)"}
    last = pattern[: pattern.index(SOURCE)].count("*") + 1
    expression = re.compile("".join(known.get(part, re.escape(part)) for part in parts))
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for each in images:
        match = expression.fullmatch(each.name)
        if match is None:
            message = f"does not match data.params.source, {pattern!r}; correct one of the two"
            problems.append(problem(root / each.name, message))
            continue
        found[each.name] = "/".join(match.groups()[:last])
    if problems:
        raise DataError(problems)
    return found


def _told_apart(root: Path, images: Sequence[Named], choice: Choice) -> tuple[set[str], set[str]]:
    """Return the names of labelled and of unlabelled images."""
    every = {each.name for each in images}
    if choice.labelled is None and choice.unlabelled is None:
        # A mask that is gone is not one that was never drawn.
        if dead := [wrong for each in images if (wrong := broken(root / each.mask))]:
            raise DataError(dead)
        with_mask = {each.name for each in images if (root / each.mask).is_file()}
        return with_mask, every - with_mask
    problems: list[Problem] = []
    named: dict[str, set[str]] = {}
    for kind, file in (("labelled", choice.labelled), ("unlabelled", choice.unlabelled)):
        if file is not None:
            with collected(problems):
                members = listed(root, file, images, f"{LABELS}.{kind}")
                named[kind] = {each.name for each in members}
    if problems:
        raise DataError(problems)
    labelled, unlabelled = named.get("labelled"), named.get("unlabelled")
    if labelled is None:
        labelled = every - (unlabelled or set())
    return labelled, every - labelled if unlabelled is None else unlabelled


def _refuse_unnamed(root: Path, images: Sequence[Named], named: Collection[str]) -> None:
    message = (
        f"is to be trained on, and neither list of {LABELS} names it; add it to one, or leave one "
        "list out, for the other then holds all the rest"
    )
    problems = [problem(root / each.name, message) for each in images if each.name not in named]
    if problems:
        raise DataError(problems)


def _require_members(root: Path, labelled: Mapping[str, Sequence[Named]]) -> None:
    problems = []
    for split, members in labelled.items():
        if not members:
            what = "no image of the training split is labelled; add masks"
            if split != "train":
                what = f"the split {split!r} is empty; add labelled images (or sources)"
            message = f"{what}, or change data.params.splits or {LABELS}"
            problems.append(problem(root, message))
    if problems:
        raise DataError(problems)
