"""What figures of a data set mean for a training on them, each with its cure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from runner.data.remarks import NAMED
from runner.statistics import IMBALANCED, RARELY_DONE, SEVERE, Level, Remark, SplitStatistics

SMALLEST_SIDE_PX = 16.0
"""Typical side of a box, in a sample, below which even the finest grid of 8 px hardly sees it."""

IMBALANCE_CURE = (
    "weight the loss by class with a limit of about 10, or draw what is rare more often, and look "
    "at precision beside recall"
)
"""What a recipe should do where it neither weights its classes nor draws the rare ones."""

# ``0016E5_07959`` is a frame of 0016E5; ``tile-12_png.rf.0c28`` is what Roboflow makes of tile-12.
_EXPORTED = re.compile(r"_(?:jpe?g|png|bmp|webp)\.rf\.[0-9a-f]+$")
_NUMBERED = re.compile(r"[_\-. ]?[A-Za-z]?\d+$")
_FEWEST_SOURCES = 3


def source_of(identity: str) -> str:
    """Return what an image was taken from, as far as its name tells: itself without its number."""
    return _NUMBERED.sub("", _EXPORTED.sub("", identity.removesuffix(".nii")))


def class_remarks(splits: Mapping[str, SplitStatistics], unit: str) -> list[Remark]:
    """Return what the classes' shares mean."""
    train = splits["train"]
    found: list[Remark] = []
    for split, each in splits.items():
        lacking = [name for name, count in each.classes.items() if not count]
        if lacking and each.labelled and len(lacking) < len(each.classes):
            names = ", ".join(lacking)
            cure = "split the data anew, or leave the class out"
            if unit == "pixels" and each.ignored:
                ignored = each.ignored / (each.ignored + sum(each.classes.values()))
                cure += (
                    f"; or, as {ignored:.2%} of the pixels are ignored, and masks of class indices "
                    f"hold it as 255, write its ids: data.params.classes: {{{lacking[0]}: [255]}} "
                    "beside those of the others"
                )
            message = f"{names}: no {unit} of the split {split!r}; {cure}"
            level: Level = "warning" if split == "train" else "note"
            found.append(Remark(kind="missing_class", level=level, message=message))
    present = {name: count for name, count in train.classes.items() if count}
    if len(present) < 2:
        return found
    rare, common = min(present, key=present.__getitem__), max(present, key=present.__getitem__)
    ratio = present[common] / present[rare]
    if ratio > IMBALANCED:
        how = "severe" if ratio > SEVERE else "considerable"
        message = (
            f"{how}, {ratio:.0f}:1: {rare} has {train.shares[rare]:.2%} of the {unit}, {common} "
            f"{train.shares[common]:.1%}; {IMBALANCE_CURE}"
        )
        found.append(Remark(kind="imbalance", level="warning", message=message))
    return found


def label_remarks(train: SplitStatistics, unit: str) -> list[Remark]:
    """Return what ignored and merged labels mean."""
    found = []
    merged = train.figures.get("merged_share", 0.0)
    if merged:
        foreground = train.figures["foreground_share"]
        message = (
            f"{merged:.1%} of the {unit} are labelled as unknown and taken for foreground, which "
            f"makes it {foreground:.1%}; set data.params.label_policy: ignore"
        )
        found.append(Remark(kind="merged_ignore", level="warning", message=message))
    ignored = train.figures.get("ignored_share", 0.0)
    if ignored > 0.5:
        message = f"{ignored:.1%} of the {unit} of the split 'train' count nowhere"
        found.append(Remark(kind="ignored", level="note", message=message))
    return found


def size_remarks(train: SplitStatistics) -> list[Remark]:
    """Return what the sizes of boxes, and how often all is done, mean."""
    found = []
    side = train.figures.get("box_side_at_size_px/median")
    if side is not None and side < SMALLEST_SIDE_PX:
        message = (
            f"half of the boxes are smaller than {side:.1f} px at data.params.size, where the "
            "finest grid has a place every 8 px; use a larger size, or tiles"
        )
        found.append(Remark(kind="small_boxes", level="warning", message=message))
    done = train.figures.get("done_share")
    if done is not None and done < RARELY_DONE:
        message = (
            f"{done:.1%} of the draws are done, in expectation over all images; a network learns "
            "never to say so: sampler.params.done_mode: balanced"
        )
        found.append(Remark(kind="done_balance", level="warning", message=message))
    return found


def source_remarks(identities: Mapping[str, Sequence[str]]) -> list[Remark]:
    """Return what is on both sides of a split although it was taken from one source.

    Args:
        identities: of each split's items.
    """
    held: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for split, names in identities.items():
        for name in names:
            held[source_of(name)][split] += 1
    few = len(held) < _FEWEST_SOURCES
    straddling = {
        source: each
        for source, each in held.items()
        # A folder numbered through has one source, whose name tells nothing.
        if len(each) > 1 and not (few and source.rpartition("/")[2] == "")
    }
    if not straddling:
        return []
    places = [
        f"{source.strip('/')}: " + ", ".join(f"{count} in {split}" for split, count in each.items())
        for source, each in sorted(straddling.items())
    ]
    message = (
        f"{len(straddling)} of {len(held)} sources, by the names of the files, "
        f"{'is' if len(straddling) == 1 else 'are'} on both sides "
        "of a split; frames or tiles of one source are too alike to measure by: split by source"
    )
    level: Level = "note" if few else "warning"
    if few:
        # A prefix of all names may be a film, or no more than what a camera calls its photos.
        count = sum(sum(each.values()) for each in held.values())
        sources = "one source" if len(held) == 1 else "two sources"
        message = (
            f"by the names of the files all {count} are of {sources}, on both sides of a split; "
            "where that is a film, a photo or a patient, and no mere prefix, what is measured is "
            "what was seen: part it by stretches or regions, or measure on another one"
        )
    return [
        Remark(
            kind="shared_source", level=level, message=message, places=places[:NAMED],
            count=len(straddling),
        )
    ]  # fmt: skip


def twin_remarks(pairs: Sequence[tuple[str, str, float]], items: int) -> list[Remark]:
    """Return what it means that images of two splits are the same.

    Args:
        pairs: name in a later split, name in an earlier one, and how alike they are.
        items: of all splits but the first.
    """
    if not pairs:
        return []
    message = (
        f"{len(pairs)} of {items} {'looks' if len(pairs) == 1 else 'look'} like one of an earlier "
        "split; what was trained on cannot be "
        "measured by: take them out of one of the two"
    )
    places = [f"{name} is like {other} (correlation {alike:.3f})" for name, other, alike in pairs]
    return [
        Remark(
            kind="near_duplicates", level="warning", message=message, places=places[:NAMED],
            count=len(pairs),
        )
    ]  # fmt: skip
