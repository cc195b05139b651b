"""Masks of 0 and 255, in which 255 was meant for a class and is ignored: found before a training.

Where class indices are named alone, 255 is ignored, and such masks leave one class to be trained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runner.contracts import IGNORE
from runner.data.files import collected
from runner.data.pairs import Pair
from runner.data.segmentation.store import Store
from runner.errors import DataError, Problem

LOOKED_AT = 16
"""Masks, over all of the training split, after which one class without a 255 is taken to be meant.

Most often the first holds two classes, and no other is decoded.
"""


def require_classes(store: Store, pairs: Sequence[Pair]) -> None:
    """Raise a DataError where training masks of class indices hold one class, and 255, alone.

    Args:
        store: reads the masks.
        pairs: of the training split.
    """
    labelled = [pair for pair in pairs if pair.is_labelled and pair.mask is not None]
    if len(store.classes.classes) < 2 or not labelled:
        return
    first = labelled[:: max(1, len(labelled) // LOOKED_AT)][:LOOKED_AT]
    names = {pair.name for pair in first}
    seen: set[int] = set()
    for pair in [*first, *(pair for pair in labelled if pair.name not in names)]:
        if len(names) == 0 and IGNORE not in seen:
            return
        names.discard(pair.name)
        with collected([]):  # What cannot be read is told by who reads it.
            seen |= _values(store, pair)
        if len(seen - {IGNORE}) > 1:
            return
    if len(seen) == 2 and IGNORE in seen:
        raise DataError(_problem(store.classes.classes, min(seen), labelled))


def _values(store: Store, pair: Pair) -> set[int]:
    counts = np.bincount(store.mask(pair).reshape(-1), minlength=IGNORE + 1)
    return {int(value) for value in np.flatnonzero(counts)}


def _problem(classes: Sequence[str], only: int, labelled: Sequence[Pair]) -> Problem:
    other = next(index for index in range(len(classes)) if index != only)
    meant = {classes[index]: only if index == only else IGNORE for index in sorted((only, other))}
    as_is = {name: index for index, name in enumerate(classes)} | {"ignore": IGNORE}
    of = (
        "it is the only mask of the training split, and holds"
        if len(labelled) == 1
        else f"all {len(labelled):,} masks of the training split hold"
    )
    message = (
        f"{of} {only} ({classes[only]}) and 255 alone, and 255 is ignored where classes are named "
        f"without ids: {classes[other]} has no pixel; write data.params.classes: {_written(meant)} "
        f"where 255 is {classes[other]}, or {_written(as_is)} where it is to be ignored"
    )
    mask = labelled[0].mask
    assert mask is not None, "a labelled image has a mask"
    return Problem(str(Path(mask.path)), "", message)


def _written(ids: dict[str, int]) -> str:
    entries = (
        f"{name if name.isidentifier() else json.dumps(name)}: [{value}]"
        for name, value in ids.items()
    )
    return "{" + ", ".join(entries) + "}"
