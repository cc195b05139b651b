"""One function over many items, in as many processes as are worth it, with bounded memory."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import TypeVar

import cv2

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 8
"""Items that travel to a process at once."""

_WORTH_A_PROCESS = 64
"""Items below which starting processes takes longer than looking at the items."""

_MOST_PROCESSES = 8


def processes_for(items: int, workers: int | None) -> int:
    """Return how many processes to use; 1 means none beside this one.

    Args:
        items: to look at.
        workers: of the machine profile; by cores where None.
    """
    available = min(_MOST_PROCESSES, os.cpu_count() or 1) if workers is None else workers
    return max(1, min(available, items // _WORTH_A_PROCESS))


def spread(look: Callable[[T], R], items: Sequence[T], *, processes: int) -> Iterator[R]:
    """Yield ``look(item)`` of each item, in order.

    Few chunks are under way at a time, so memory does not grow with the number of items.

    Args:
        look: a function of a module, so that it can be pickled.
        items: picklable.
        processes: 1 to look at them in this process.
    """
    if processes == 1:
        yield from map(look, items)
        return
    # Forked processes inherit the locks of OpenCV's and the progress bar's threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_begin) as pool:
        starts = iter(range(0, len(items), CHUNK))

        def submitted(count: int) -> Iterator[Future[list[R]]]:
            for start in islice(starts, count):
                yield pool.submit(_each, look, list(items[start : start + CHUNK]))

        under_way = deque(submitted(4 * processes))
        try:
            while under_way:
                yield from under_way.popleft().result()
                under_way.extend(submitted(1))
        finally:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    # A thread pool in each process would fight over the same cores.
    cv2.setNumThreads(0)


def _each(look: Callable[[T], R], items: list[T]) -> list[R]:
    return [look(item) for item in items]
