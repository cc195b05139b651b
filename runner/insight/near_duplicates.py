"""Images of different splits that look alike, found without comparing each with each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.data.perceptual import BITS

_COMPARED_AT_ONCE = 1 << 18
"""Pairs of hashes, which bounds the memory of a bucket of many equal images."""


@dataclass(frozen=True)
class Twin:
    """An item that looks like one of an earlier split.

    Attributes:
        item: its index.
        other: index of the most similar item of an earlier split.
        distance: bits in which their hashes differ.
    """

    item: int
    other: int
    distance: int


def near_duplicates(looks: Sequence[int | None], parts: Sequence[int], within: int) -> list[Twin]:
    """Return each item that looks like one of an earlier split, with the most similar one.

    Hashes that differ in at most ``within`` bits are equal in at least one of ``within + 1`` parts:
    only items that share such a part are compared. Memory grows with the number of items alone.

    Args:
        looks: perceptual hash of each item; None where there is none.
        parts: the split of each item, numbered in order.
        within: bits in which two hashes may differ.
    """
    known = np.array([place for place, each in enumerate(looks) if each is not None], np.int64)
    hashes = np.array([each for each in looks if each is not None], np.uint64)
    splits = np.asarray(parts, np.int64)[known]
    nearest = np.full(len(known), -1, np.int64)
    distances = np.full(len(known), BITS + 1, np.int64)
    for first, last in _bands(within + 1):
        mask = np.uint64((1 << (last - first)) - 1)
        keys = (hashes >> np.uint64(first)) & mask
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=keys[order][:1] ^ np.uint64(1)))
        for bucket in np.split(order, starts[1:]):
            if len(bucket) > 1 and np.ptp(splits[bucket]):
                _compare(bucket, hashes, splits, nearest, distances)
    return [
        Twin(int(known[item]), int(known[nearest[item]]), int(distances[item]))
        for item in np.flatnonzero(distances <= within)
    ]


def _bands(count: int) -> list[tuple[int, int]]:
    """Return the first bit, and the one after the last, of parts as equal as can be."""
    ends = np.linspace(0, BITS, count + 1).round().astype(int).tolist()
    return list(zip(ends[:-1], ends[1:], strict=True))


def _compare(
    bucket: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    splits: NDArray[np.int64],
    nearest: NDArray[np.int64],
    distances: NDArray[np.int64],
) -> None:
    """Compare each item of a bucket with those of earlier splits; keep its nearest."""
    bucket = bucket[np.argsort(splits[bucket], kind="stable")]
    firsts = np.flatnonzero(np.diff(splits[bucket])) + 1
    for first, last in zip(firsts, [*firsts[1:], len(bucket)], strict=True):
        earlier = bucket[:first]
        rows = max(1, _COMPARED_AT_ONCE // len(earlier))
        for start in range(first, last, rows):
            items = bucket[start : min(start + rows, last)]
            bits = np.bitwise_count(hashes[items, None] ^ hashes[None, earlier])
            best = bits.argmin(1)
            least = bits[np.arange(len(items)), best].astype(np.int64)
            is_nearer = least < distances[items]
            nearest[items[is_nearer]] = earlier[best[is_nearer]]
            distances[items[is_nearer]] = least[is_nearer]
