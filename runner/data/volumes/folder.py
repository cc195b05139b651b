"""A folder of volumes and labels, checked and opened as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from runner.contracts import Data, DataSpec, Measured, Split, Transform
from runner.data.files import collected, problem
from runner.data.links import require_folder
from runner.data.pairs import SPLIT, Layout, check_layout
from runner.data.splits import Lists, find_leaks
from runner.data.volumes.cache import VolumeCache
from runner.data.volumes.grouped_splits import Groups, Ranges, VolumeRule, assign_volumes
from runner.data.volumes.intensity import Normalisation
from runner.data.volumes.labels import LabelRule
from runner.data.volumes.split import PatchSplit, TileSplit, Volumes, WholeSplit
from runner.data.volumes.store import (
    Volume,
    VolumePair,
    VolumeStore,
    class_voxels,
    measure_volumes,
)
from runner.data.volumes.survey import inventory
from runner.errors import DataError, Problem, RecipeError

VolumeValidation = Literal["tiles", "volumes"]


@dataclass(frozen=True)
class VolumeView:
    """How volumes become samples.

    Attributes:
        patch: depth, height and width of a training patch and of a validation tile.
        validation: whether validation and test items are tiles or whole volumes.
        normalisation: of the intensities.
        transforms: of the training split.
    """

    patch: tuple[int, int, int]
    validation: VolumeValidation
    normalisation: Normalisation
    transforms: Sequence[Transform] = ()


def open_volumes(
    root: Path,
    layout: Layout,
    labels: LabelRule,
    rule: VolumeRule,
    groups: Groups | None,
    view: VolumeView,
    cache: Path,
    allow_leak: bool = False,
) -> Data:
    """Return a folder's splits; what is packed has been unpacked, every label value checked.

    Args:
        root: the folder.
        layout: which files in it.
        labels: what their values mean.
        rule: which split a volume belongs to.
        groups: which volumes belong together; None where each stands alone.
        view: what samples look like.
        cache: folder for unpacked volumes.
        allow_leak: whether two splits may hold the same volume.

    Raises:
        RecipeError: values that contradict each other, all of them.
        DataError: everything that is wrong with the files.
        MachineError: the cache has no room, or cannot be written.
    """
    _check(layout, labels, rule, groups, view)
    require_folder(root)
    store = VolumeStore(labels, view.normalisation, VolumeCache(cache))
    splits = _measured(root, layout, rule, groups, allow_leak, store.cache)
    pairs = {pair.name: pair for members in splits.values() for pair in members}
    intensity = store.prepare(list(pairs.values()))
    items = {
        split: tuple(
            Volume(pair, intensity[pair.name], *_slices(rule, split, pair)) for pair in members
        )
        for split, members in splits.items()
    }
    measured = Measured({"class_pixels": partial(class_voxels, store, items["train"])})
    spec = DataSpec(labels.classes, channels=1, dimensions=3, measured=measured)
    volumes = Volumes(spec, store)
    opened = {split: _opened(split, members, volumes, view) for split, members in items.items()}
    return Data(spec, opened, _fingerprint(items, labels), inventory(store, items))


def _measured(
    root: Path,
    layout: Layout,
    rule: VolumeRule,
    groups: Groups | None,
    allow_leak: bool,
    cache: VolumeCache,
) -> dict[str, list[VolumePair]]:
    """Return the pairs of each split, with all that their headers show to be wrong."""
    problems: list[Problem] = []
    splits: dict[str, list[VolumePair]] = {}
    assigned = assign_volumes(root, layout, rule, groups)
    if isinstance(rule, Ranges):
        # All splits are parts of the same volume: its headers are read once.
        [pair] = measure_volumes(root, next(iter(assigned.values())), cache)
        _require_slices(root, pair, rule)
        return {split: [pair] for split in assigned}
    for split, volumes in assigned.items():
        with collected(problems):
            splits[split] = measure_volumes(root, volumes, cache)
    if not allow_leak:
        problems += find_leaks(splits, are_images=False)
    if problems:
        raise DataError(problems)
    return splits


def _require_slices(root: Path, pair: VolumePair, rule: Ranges) -> None:
    depth = pair.header.shape[0]
    problems = [
        problem(
            root / pair.name,
            f"has {depth} slices; correct data.params.splits.z_ranges.{split}: [{start}, {stop}]",
        )
        for split, (start, stop) in rule.slices.items()
        if stop > depth
    ]
    if problems:
        raise DataError(problems)


def _slices(rule: VolumeRule, split: str, pair: VolumePair) -> tuple[int, int]:
    return rule.slices[split] if isinstance(rule, Ranges) else (0, pair.header.shape[0])


def _opened(split: str, items: tuple[Volume, ...], volumes: Volumes, view: VolumeView) -> Split:
    if split == "train":
        return PatchSplit(volumes, items, view.patch, tuple(view.transforms))
    if view.validation == "volumes":
        return WholeSplit(volumes, items)
    return TileSplit.of(volumes, items, view.patch)


def _check(
    layout: Layout,
    labels: LabelRule,
    rule: VolumeRule,
    groups: Groups | None,
    view: VolumeView,
) -> None:
    """Raise a RecipeError with every value that contradicts another."""
    problems: list[Problem] = []
    try:
        check_layout(layout)
    except RecipeError as error:
        # The patterns of images call a label a mask.
        problems += [
            Problem(each.place, each.key.replace("params.masks", "params.labels"), each.message)
            for each in error.problems
        ]
    problems += labels.problems()
    how = view.normalisation
    if (how.kind == "percentile") != (how.percentiles is not None):
        message = "belongs to normalise: percentile, such as [0.5, 99.5]: write both or neither"
        problems.append(Problem("", "data.params.percentiles", message))
    if layout.has_split:
        message = f"{SPLIT} has no meaning here: volumes are split by name or group; use *"
        problems.append(Problem("", "data.params.images", message))
    for position, transform in enumerate(view.transforms):
        if type(transform).__module__ == "runner.data.augmentation":
            message = (
                "changes images, not volumes; use flip_volume, rotate90_volume, intensity or "
                "noise_volume"
            )
            problems.append(Problem("", f"data.params.transforms.{position}", message))
    files = list(rule.files.values()) if isinstance(rule, Lists) else []
    for path in (*files, groups.file if groups else "inside"):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            problems.append(
                Problem(
                    "",
                    "data.params.splits",
                    f"{path!r} leaves the root; write it relative to the root",
                )
            )
    if problems:
        raise RecipeError(problems)


def _fingerprint(items: Mapping[str, Sequence[Volume]], labels: LabelRule) -> str:
    """Return what changes with a name, a size, the split of a file or the meaning of a label."""
    files = [
        (split, each.pair.name, each.pair.image.size_bytes, each.pair.mask.size_bytes)
        + (each.start, each.stop)
        for split, volumes in items.items()
        for each in volumes
    ]
    text = repr((sorted(files), labels.classes, sorted(labels.targets.items())))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
