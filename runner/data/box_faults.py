"""What can be wrong with a box, and how it is told."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from runner.counting import number_of
from runner.data.remarks import NAMED, SHOWN
from runner.statistics import Remark

LOG = logging.getLogger(__name__)

FaultKind = Literal["degenerate", "outside", "duplicate"]

SMALLEST_PX = 1.0
"""Edge up to which a box is degenerate: VOC's with two equal corners have one pixel."""

DONE: Mapping[str, tuple[str, str]] = {
    "degenerate": ("a pixel or less wide or high, and left out",) * 2,
    "outside": (
        "beyond its image, and cut off or left out",
        "beyond their image, and cut off or left out",
    ),
    "duplicate": ("there twice, and left out once", "there twice, and one of each left out"),
}
"""What one box of each kind of fault is, and what several are, and what is done about it."""


@dataclass(frozen=True)
class Fault:
    """Something wrong with a box that can be mended without a question.

    Attributes:
        kind: degenerate and duplicate boxes are dropped, what is outside is cut off.
        place: file, and line or number in it.
        message: what is wrong, with figures.
        remedy: what is done about it where boxes are mended.
    """

    kind: FaultKind
    place: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}; {self.remedy}"


def is_degenerate(corners: Sequence[float]) -> bool:
    """Whether a box, x1, y1, x2, y2 in pixels, is a pixel or less wide or high."""
    x1, y1, x2, y2 = corners
    return x2 - x1 <= SMALLEST_PX or y2 - y1 <= SMALLEST_PX


def written(corners: Sequence[float]) -> str:
    """Return a box as text."""
    return ", ".join(f"{value:g}" for value in corners)


def tell(faults: Sequence[Fault]) -> None:
    """Log how many faults of each kind there are, and the first of them."""
    if not faults:
        return
    counts = Counter(each.kind for each in faults)
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    first = "\n".join(f"  {each}" for each in faults[:SHOWN])
    more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    LOG.info("faulty boxes: %s\n%s%s", told, first, more)


def fault_remarks(
    faults: Sequence[Fault], done: Mapping[str, tuple[str, str]] = DONE
) -> list[Remark]:
    """Return one remark for each kind of fault, the first boxes named.

    Args:
        faults: of the boxes of a data set.
        done: what one box of each kind is, and what several are, and what is done about it.
    """
    by_kind: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_kind[fault.kind].append(fault)
    return [
        Remark(
            kind=f"{kind}_boxes",
            level="note",
            message=f"{_told(len(by_kind[kind]), done[kind])}; mend the annotations",
            places=[str(fault) for fault in by_kind[kind][:NAMED]],
            count=len(by_kind[kind]),
        )
        for kind in get_args(FaultKind)
        if by_kind[kind]
    ]


def crowd_remarks(places: Sequence[str]) -> list[Remark]:
    """Return a remark where boxes are left out because each stands for several objects.

    Args:
        places: of the boxes: file, and number in it.
    """
    if not places:
        return []
    is_or_are = "stands" if len(places) == 1 else "stand"
    message = (
        f"{number_of(len(places), 'boxes', ',')} {is_or_are} for a crowd (iscrowd: 1) and "
        f"{'is' if len(places) == 1 else 'are'} left out, as if nothing were there; give each "
        "object a box of its own, or take these images away"
    )
    shown = list(places[:NAMED])
    return [
        Remark(kind="crowd_boxes", level="note", message=message, places=shown, count=len(places))
    ]


def _told(count: int, done: tuple[str, str]) -> str:
    one, several = done
    return f"{number_of(count, 'boxes')} {f'is {one}' if count == 1 else f'are {several}'}"
