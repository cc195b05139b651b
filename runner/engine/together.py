"""What goes wrong in one of the processes that train together ends all of them alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from runner.contracts import Batch
from runner.engine.machine import machine_errors
from runner.engine.state import Run


def errors_of_machine(run: Run) -> AbstractContextManager[None]:
    """Return ``machine_errors`` with what a run's cures speak of."""
    return machine_errors(run.plan.batch_size, run.plan.accumulate, str(run.device))


@contextmanager
def together(run: Run) -> Iterator[None]:
    """Raise in every process what goes wrong in any of them inside.

    Every process must enter it, and none may wait for another inside.
    """
    with run.processes.agreeing(), errors_of_machine(run):
        yield


def fetched_together(run: Run, batches: Iterator[Batch]) -> Iterator[Batch]:
    """Return batches of which each process has its own, or none has one.

    Whoever begins a step waits in it for the others, for ever where one of them has no batch.
    """
    return _fetched_together(run, batches) if run.processes.world > 1 else batches


def _fetched_together(run: Run, batches: Iterator[Batch]) -> Iterator[Batch]:
    while True:
        with together(run):
            batch = next(batches)
        yield batch
