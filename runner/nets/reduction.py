"""Sums and means that are the same on several processes as on one with all their samples.

A loss that is a mean over valid pixels is not the mean of the processes' means where they
have different numbers of valid pixels. What is computed here is; and its gradient is right
after DistributedDataParallel has averaged it. Without gradients (in an evaluation) each
process looks at its own samples alone: processes may then have different numbers of batches,
and whoever waits for the others would wait for ever.
"""

import torch
import torch.distributed as distributed
from torch import Tensor


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
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total + processes * (value - value.detach())


def ratio_of_sums(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Return sum of numerators / sum of denominators over processes; 0 where there is nothing.

    On each process it is that process's share times their number: the mean over processes, as
    DistributedDataParallel and a log take it, is the ratio.

    Args:
        numerator: scalar, of this process's samples.
        denominator: scalar, not negative, without gradient.
    """
    processes = _communicating()
    total = denominator.detach()
    if processes > 1:
        total = total.clone()
        distributed.all_reduce(total)
    is_empty = total == 0
    return numerator * processes / total.masked_fill(is_empty, 1) * ~is_empty


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
