"""Which volumes a split holds, groups of volumes kept together."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.data.files import problem
from runner.data.pairs import STEM, Layout, Named, find_images
from runner.data.splits import Fractions, Lists, assign, deal_groups, dealt
from runner.data.texts import read_utf8
from runner.data.volumes.files import volume_id
from runner.errors import DataError, Problem


@dataclass(frozen=True)
class Folds:
    """Volumes are shuffled by a seed and dealt out into equal parts; one of them validates.

    Attributes:
        count: of the parts.
        fold: which part validates, counted from 0; the others train.
        seed: of the shuffle, apart from the run's.
    """

    count: int
    fold: int
    seed: int


@dataclass(frozen=True)
class Ranges:
    """Each split is a part of one volume.

    Attributes:
        slices: of each split: the first one, and the one after the last.
    """

    slices: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Groups:
    """Volumes of one group, such as the same scroll, belong into the same split.

    Attributes:
        file: CSV, relative to the root.
        id: its column with the volumes' names without suffix.
        column: its column with the groups.
    """

    file: str
    id: str
    column: str


VolumeRule = Fractions | Lists | Folds | Ranges


def assign_volumes(
    root: Path, layout: Layout, rule: VolumeRule, groups: Groups | None
) -> dict[str, list[Named]]:
    """Return the volumes of each split, in order of name.

    Raises: DataError: no volume matches, a list names what is not there, a volume has no group,
        a group straddles lists, a split is empty.
    """
    # What ``{stem}`` is without: ``.nii.gz``, not ``.gz`` alone.
    kept = Layout(layout.images, layout.masks.replace(STEM, "{volume}"))
    if isinstance(rule, Lists):
        splits = assign(root, kept, rule)
        if groups is not None:
            everything = [each for members in splits.values() for each in members]
            _refuse_straddling(root / groups.file, splits, _read_groups(root, groups, everything))
    else:
        volumes = find_images(root, kept)
        if isinstance(rule, Ranges):
            splits = _alone(root, volumes, rule)
        else:
            splits = _dealt(root, volumes, rule, groups)
        _require_members(root, splits, groups)
    return {split: [_with_label(each) for each in members] for split, members in splits.items()}


def _with_label(volume: Named) -> Named:
    return replace(volume, mask=volume.mask.replace("{volume}", volume_id(volume.name)))


def _alone(root: Path, volumes: Sequence[Named], rule: Ranges) -> dict[str, list[Named]]:
    if len(volumes) != 1:
        message = (
            f"data.params.splits.z_ranges divides one volume, and {len(volumes)} match; "
            "name the one in data.params.images"
        )
        raise DataError(problem(root, message))
    return {split: list(volumes) for split in rule.slices}


def _dealt(
    root: Path, volumes: Sequence[Named], rule: Fractions | Folds, groups: Groups | None
) -> dict[str, list[Named]]:
    shares = rule
    if isinstance(rule, Folds):
        shares = Fractions({str(part): 1 / rule.count for part in range(rule.count)}, rule.seed)
    assert isinstance(shares, Fractions), shares
    if groups is None:
        parts = dealt(volumes, shares)
    else:
        parts = deal_groups(volumes, _read_groups(root, groups, volumes), shares)
    if not isinstance(rule, Folds):
        return parts
    held_out = parts.pop(str(rule.fold))
    train = sorted((each for part in parts.values() for each in part), key=lambda each: each.name)
    return {"train": train, "val": held_out}


def _require_members(
    root: Path, splits: Mapping[str, Sequence[Named]], groups: Groups | None
) -> None:
    what = "groups or volumes" if groups is not None else "volumes"
    problems = [
        problem(root, f"the split {split!r} is empty; add {what}, or change data.params.splits")
        for split, members in splits.items()
        if not members
    ]
    if problems:
        raise DataError(problems)


def _read_groups(root: Path, groups: Groups, volumes: Sequence[Named]) -> dict[str, str]:
    """Return the group of each volume's name.

    Raises: DataError: the table cannot be read, lacks a column, or a volume has no one group.
    """
    path = root / groups.file
    try:
        text = read_utf8(path)
    except OSError as error:
        message = f"the table of groups cannot be read ({error}); see data.params.splits.groups"
        raise DataError(problem(path, message)) from None
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    present = reader.fieldnames or []
    missing = [name for name in (groups.id, groups.column) if name not in present]
    if missing:
        message = f"has no column {', '.join(missing)}; it has {', '.join(present)}"
        raise DataError(problem(path, message))
    table: dict[str, str] = {}
    problems: list[Problem] = []
    for row in reader:
        volume, group = ((row[name] or "").strip() for name in (groups.id, groups.column))
        if table.setdefault(volume, group) != group:
            message = f"{volume!r} is in group {table[volume]!r} on an earlier line, here in "
            problems.append(Problem(f"{path}:{reader.line_num}", "", f"{message}{group!r}"))
    for volume in volumes:
        if not table.get(volume_id(volume.name)):
            message = f"has no {groups.column} in {groups.file}; add a line for it"
            problems.append(problem(root / volume.name, message))
    if problems:
        raise DataError(problems)
    return {volume.name: table[volume_id(volume.name)] for volume in volumes}


def _refuse_straddling(
    table: Path, splits: Mapping[str, Sequence[Named]], group_of: Mapping[str, str]
) -> None:
    """Raise a DataError with every group that two lists share."""
    holders: dict[str, dict[str, str]] = {}
    for split, members in splits.items():
        for volume in members:
            holders.setdefault(group_of[volume.name], {}).setdefault(split, volume.name)
    problems = [
        problem(
            table,
            f"the group {group!r} straddles splits: "
            + ", ".join(f"{name} is in {split!r}" for split, name in held.items())
            + "; keep it in one list, or leave groups out",
        )
        for group, held in sorted(holders.items())
        if len(held) > 1
    ]
    if problems:
        raise DataError(problems)
