"""The processes that load batches: what signals reach them, and how they end."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util  # noqa: F401 - what it does at exit is to come after _end
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from weakref import WeakSet

import torch

from runner.engine.machine import lost_workers_unheard

_started: WeakSet[BaseProcess] = WeakSet()


def prepare_worker(_: int) -> None:
    """Make a process that has just been started a worker: one thread, no signals."""
    _leave_signals_to_the_training()
    # Each worker is one process on one core: threads of its own would only crowd the others.
    torch.set_num_threads(1)
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(0)


def _leave_signals_to_the_training() -> None:
    """Let a signal to the whole process group, as of ``timeout`` and schedulers, pass a worker by.

    A worker that dies of it takes the training down in the middle of a step, at whose end it
    would stop. The training ends its workers itself.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def ended_at_exit() -> Iterator[None]:
    """Have what processes are started within killed when the interpreter ends, if still there.

    An error holds its loader until then, and multiprocessing would wait for workers that pass
    its signal by.
    """
    before = {*multiprocessing.active_children()}
    try:
        yield
    finally:
        _started.update(child for child in multiprocessing.active_children() if child not in before)


@atexit.register
def _end() -> None:
    with lost_workers_unheard():
        for worker in [each for each in _started if each.is_alive()]:
            worker.kill()
            worker.join()
