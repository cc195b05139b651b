"""What the machine does to a training, told as the user's problem with its cure."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from runner.errors import MachineError, Problem

# A dataset's own RuntimeError arrives as "Caught RuntimeError in DataLoader worker process 0".
_WORKER_DIED = re.compile(r"DataLoader worker \(pid|DataLoader timed out")
_CPU_MEMORY = re.compile(r"can't allocate memory|not enough memory")


@contextmanager
def machine_errors(batch_size: int, accumulate: int, device: str) -> Iterator[None]:
    """Turn a lost worker and exhausted memory into a MachineError.

    Args:
        batch_size: of the training, for the cure.
        accumulate: of the training, for the cure.
        device: its name.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(batch_size, accumulate, device) from error
    except RuntimeError as error:
        if _CPU_MEMORY.search(str(error)):
            raise _out_of_memory(batch_size, accumulate, device) from error
        lost = worker_loss(error)
        if lost is None:
            raise
        raise lost from error


@contextmanager
def lost_workers_unheard() -> Iterator[None]:
    """Let no loss of a loader's worker interrupt a block.

    torch raises it wherever the main thread stands, for each worker anew: the second would
    interrupt what writes down the first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        if heard is not None:  # None: one that was set outside of Python.
            signal.signal(signal.SIGCHLD, heard)


def worker_loss(error: RuntimeError) -> MachineError | None:
    """Return what to tell the user where a loader's worker was killed or hangs."""
    # It interrupts whatever is being done, such as the writing of a file, which may fail in turn.
    if not _WORKER_DIED.search(str(error)):
        before = error.__context__
        return worker_loss(before) if isinstance(before, RuntimeError) else None
    cure = "too little memory or a stuck disk is the usual reason: use fewer workers"
    return MachineError(Problem("data loader", "", f"{str(error).splitlines()[0]}; {cure}"))


def _out_of_memory(batch_size: int, accumulate: int, device: str) -> MachineError:
    if batch_size > 1:
        smaller = next(size for size in range(batch_size // 2, 0, -1) if batch_size % size == 0)
        more = accumulate * (batch_size // smaller)
        cure = f"train.batch_size: {smaller} and train.accumulate: {more} keep the effective batch"
    else:
        cure = "the batch is one sample already: use smaller crops, a smaller model or bf16"
    return MachineError(Problem(device, "train.batch_size", f"out of memory; {cure}"))
