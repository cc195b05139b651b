"""Datasets of volumes with labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, Field, model_validator
from pydantic import Strict as StrictType
from pydantic_core import PydanticCustomError

from runner.by_class import named_once
from runner.registry import Strict, TransformPart, datasets

if TYPE_CHECKING:
    from runner.contracts import Data, DataContext
    from runner.data.volumes.grouped_splits import Groups, VolumeRule

Voxels = Annotated[int, Field(gt=0)]
SplitName = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)
T = TypeVar("T")


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        message = f"{list(ends)} is a range: write the smaller end first"
        raise PydanticCustomError("range", "{reason}", {"reason": message})
    return ends


Slices = Annotated[int, Field(ge=0)]
# YAML has lists alone, which strict pydantic does not take for tuples.
SliceRange = Annotated[tuple[Slices, Slices], StrictType(False), AfterValidator(_ascending)]
Percent = Annotated[float, Field(ge=0, le=100)]
LabelValue = Annotated[int, Field(ge=0, le=65535)]


class Folds(Strict):
    """Equal parts of the volumes, one of which validates."""

    count: int = Field(ge=2, description="parts")
    fold: int = Field(ge=0, description="the part that validates, counted from 0")

    @model_validator(mode="after")
    def _exists(self) -> Folds:
        _refuse(f"there is no fold {self.fold} of {self.count}" if self.fold >= self.count else "")
        return self


class GroupColumn(Strict):
    """Where it is written which volumes belong together."""

    file: str = Field(description="CSV below root, such as train.csv")
    column: str = Field(description="its column with the groups, such as scroll_id")
    id: str = Field(default="id", description="its column with the names without suffix")


class VolumeSplits(Strict):
    """Which split a volume belongs to: exactly one of fractions, lists, folds, z_ranges."""

    fractions: dict[SplitName, Annotated[float, Field(gt=0, lt=1)]] | None = Field(
        default=None, description="share of the volumes that each split gets; needs seed"
    )
    folds: Folds | None = Field(
        default=None, description="equal parts, one of which is val and the rest train; needs seed"
    )
    seed: int | None = Field(default=None, ge=0, description="of the shuffle before both")
    lists: dict[SplitName, str] | None = Field(
        default=None, description="text file of each split that names a volume a line"
    )
    z_ranges: dict[SplitName, SliceRange] | None = Field(
        default=None, description="first slice, and the one after the last, of the only volume"
    )
    groups: GroupColumn | None = Field(
        default=None, description="volumes that stay in one split; null lets each stand alone"
    )

    @model_validator(mode="after")
    def _is_one_kind(self) -> VolumeSplits:
        kinds = (self.fractions, self.lists, self.folds, self.z_ranges)
        given = [kind for kind in kinds if kind is not None]
        is_dealt = self.fractions is not None or self.folds is not None
        wrong = ""
        if len(given) != 1:
            wrong = "write exactly one of fractions, lists, folds, z_ranges (null takes one away)"
        elif isinstance(given[0], dict) and _missing(given[0]):
            wrong = _missing(given[0])
        elif (self.seed is None) == is_dealt:
            wrong = "seed belongs to fractions or folds: write both or neither"
        elif self.groups is not None and self.z_ranges is not None:
            wrong = "z_ranges divide one volume, which has no groups; leave one of them out"
        _refuse(wrong or _not_whole(self.fractions) or _overlap(self.z_ranges))
        return self

    def rule(self) -> VolumeRule:
        """Return it as the data room knows it."""
        from runner.data.splits import Fractions, Lists
        from runner.data.volumes import grouped_splits as rules

        if self.lists is not None:
            return Lists(_ordered(self.lists))
        if self.z_ranges is not None:
            return rules.Ranges(_ordered(self.z_ranges))
        assert self.seed is not None, "checked above"
        if self.folds is not None:
            return rules.Folds(self.folds.count, self.folds.fold, self.seed)
        assert self.fractions is not None, "checked above"
        return Fractions(_ordered(self.fractions), self.seed)

    def grouping(self) -> Groups | None:
        """Return what belongs together as the data room knows it."""
        from runner.data.volumes.grouped_splits import Groups

        table = self.groups
        return Groups(table.file, table.id, table.column) if table is not None else None


def _refuse(wrong: str) -> None:
    if wrong:
        raise PydanticCustomError("splits", "{reason}", {"reason": wrong})


def _missing(splits: Mapping[SplitName, object]) -> str:
    missing = [name for name in ("train", "val") if name not in splits]
    return f"there is no split {' and no split '.join(missing)}; name it" if missing else ""


def _not_whole(fractions: Mapping[SplitName, float] | None) -> str:
    total = sum(fractions.values()) if fractions is not None else 1.0
    return f"the fractions sum to {total:g}, not to 1" if abs(total - 1) > 1e-6 else ""


def _overlap(ranges: Mapping[SplitName, tuple[int, int]] | None) -> str:
    in_order = sorted((ends, name) for name, ends in (ranges or {}).items())
    for (before, first), (after, second) in pairwise(in_order):
        if after[0] < before[1]:
            return f"{first} {list(before)} and {second} {list(after)} overlap; part them"
    return ""


def _ordered(splits: dict[SplitName, T]) -> dict[str, T]:
    # Fractions are dealt out in turn: the order of writing must not decide who gets what.
    return {str(name): splits[name] for name in SPLIT_NAMES if name in splits}


@datasets.register
def volumes(
    context: DataContext,
    /,
    *,
    root: str,
    images: str,
    labels: str,
    splits: VolumeSplits,
    patch: tuple[Voxels, Voxels, Voxels],
    label_policy: Literal["ignore", "merge_ignore"] = "ignore",
    foreground: Annotated[tuple[LabelValue, ...], Field(min_length=1)] = (1,),
    ignore_label: LabelValue | None = None,
    classes: Annotated[tuple[str, str], AfterValidator(named_once)] = ("background", "surface"),
    normalise: Literal["percentile", "zscore", "none"] = "zscore",
    percentiles: Annotated[tuple[Percent, Percent], AfterValidator(_ascending)] | None = None,
    validation: Literal["tiles", "volumes"] = "tiles",
    transforms: tuple[TransformPart, ...] = (),
    allow_leak: bool = False,
) -> Data:
    """Volumes with labels of the same shape, as TIFF, NIfTI or npy; foreground and background.

    Args:
        root: folder, name in the machine profile, or ``sample:vesuvius``.
        images: pattern below root; ``*`` is any part of a name. What is compressed is unpacked
            into the cache once; NIfTI's z is depth.
        labels: the label of a volume; ``{stem}`` is its name without suffix, the n-th ``*`` what
            the n-th ``*`` of images stands for.
        splits: fractions or folds with a seed, lists, or z_ranges of one volume.
        patch: depth, height and width of a training patch and of a validation tile.
        label_policy: ignore: voxels of ignore_label count nowhere; merge_ignore: they are
            foreground, as the thresholding ``label > 0`` takes them.
        foreground: label values of the foreground; 0 is background.
        ignore_label: label value of voxels that nobody labelled; null where there is none. Any
            value that is not named is an error.
        classes: names of background and foreground.
        normalise: zscore: mean 0 and deviation 1 over the volume; percentile: the two
            percentiles become 0 and 1, and what lies beyond is cut off; none: values as stored.
        percentiles: of normalise: percentile, in percent, such as [0.5, 99.5]; null otherwise.
        validation: tiles: of the size of a patch, every voxel once; volumes: each whole, for a
            sliding window.
        transforms: augmentations of training samples, in order.
        allow_leak: let two splits hold the same volume.
    """
    from runner.data.pairs import Layout
    from runner.data.volumes.folder import VolumeView, open_volumes
    from runner.data.volumes.intensity import Normalisation
    from runner.data.volumes.labels import LabelRule

    return open_volumes(
        context.locate(root),
        Layout(images, labels),
        LabelRule(classes, foreground, ignore_label, label_policy),
        splits.rule(),
        splits.grouping(),
        VolumeView(
            patch,
            validation,
            Normalisation(normalise, percentiles),
            tuple(part.build() for part in transforms),
        ),
        context.cache / "volumes",
        allow_leak,
    )


@datasets.foretells(volumes)
def _classes(params: Any, _root: Callable[[], Path | None]) -> tuple[str, ...]:
    named: tuple[str, ...] = params.classes
    return named
