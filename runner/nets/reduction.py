"""Sums and means that are the same on several processes as on one with all their samples.

A loss that is a mean over valid pixels is not the mean of the processes' means where they
have different numbers of valid pixels. What is computed here is; and its gradient is right
after DistributedDataParallel has averaged it. Without gradients (in an evaluation) each
process looks at its own samples alone: processes may then have different numbers of batches,
and whoever waits for the others would wait for ever.

The loop multiplies each process's loss by its share of the batch, as a plain mean over samples
needs where shares are unequal. What is computed here is of the whole batch already, so that its
gradient is divided by that share (``sharing``), and a process without a share adds nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.distributed as distributed
from torch import Tensor

_SHARE = ContextVar("share", default=1.0)


@contextmanager
def sharing(share: float) -> Iterator[None]:
    """Say what the loop multiplies this process's loss by, whose forward pass is inside.

    Args:
        share: of the samples, times the number of processes: 1 where all have as many; 0 where
            the process has none and only keeps the others company.
    """
    token = _SHARE.set(share)
    try:
        yield
    finally:
        _SHARE.reset(token)


def summed_over_processes(value: Tensor) -> Tensor:
    """Return the sum of all processes' values, the same on each of them.

    The gradient is multiplied by the number of processes, as DistributedDataParallel divides
    by it. That is exact, and costs no communication, because whatever is computed from the sum
    is the same on each process, and so is its gradient.

    Args:
        value: any shape, the same on each process.
    """
    processes = _communicating()
    if processes == 1:
        return value
    share = _SHARE.get()
    total = value.detach().clone() if share else torch.zeros_like(value)
    distributed.all_reduce(total)
    # Without a share the loss is multiplied by 0: the graph alone is needed, by whoever awaits it.
    return total + processes / (share or 1.0) * (value - value.detach())


def ratio_of_sums(
    numerator: Tensor, denominator: Tensor, *, at_least: float | None = None
) -> Tensor:
    """Return sum of numerators / sum of denominators over processes; 0 where there is nothing.

    Args:
        numerator: scalar, of this process's samples.
        denominator: scalar, not negative, without gradient.
        at_least: what the sum of denominators is raised to.
    """
    total = denominator.detach()
    if _communicating() > 1:
        numerator, total = summed_over_processes(torch.stack([numerator, total]))
        total = total.detach()
    if at_least is not None:
        total = total.clamp(min=at_least)
    is_empty = total == 0
    return numerator / total.masked_fill(is_empty, 1) * ~is_empty


def mean_over_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean of the values where valid, exactly 0 with zero gradient where none is.

    Args:
        values: any shape, float.
        valid: bool, the same shape.
    """
    return ratio_of_sums(values.masked_fill(~valid, 0).sum(), valid.sum(dtype=values.dtype))


def _communicating() -> int:
    """Return how many processes compute this together; 1 where no gradient is asked for."""
    is_parallel = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if is_parallel and torch.is_grad_enabled() else 1
