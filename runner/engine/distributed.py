"""The processes that train together: plain ``torch.distributed``, started by torchrun."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from runner.errors import MachineError, Problem


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: of this process; 0 writes and speaks.
        world: how many there are.
        local_rank: of this process on its machine; picks the device.
        local_world: how many there are on its machine, which share its cores.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and yields events."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """Return every process's value, in order of rank; every process must call it."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def any(self, flag: bool) -> bool:
        """Return whether any process says so; every process must call it."""
        if self.world == 1:
            return flag
        # On the CPU, so that asking at every step never waits for the device.
        flags = torch.tensor(int(flag))
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)

    def largest(self, value: Tensor) -> Tensor:
        """Replace a tensor by the largest of all processes', without waiting for the device."""
        if self.world > 1:
            dist.all_reduce(value, dist.ReduceOp.MAX)
        return value


def start_processes(device_type: str) -> Processes:
    """Join the processes that torchrun started; alone where it did not.

    Args:
        device_type: ``cpu`` or ``cuda``, what the training runs on.
    Raises: MachineError: torchrun started more processes than this machine has devices.
    """
    if "RANK" not in os.environ:
        return Processes()
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    local_rank = int(os.environ["LOCAL_RANK"])
    if device_type == "cuda":
        present = torch.cuda.device_count()
        if local_rank >= present:
            wanted = f"process {local_rank} of this machine has no device: {present} present; "
            cure = f"start torchrun with --nproc-per-node {present}"
            raise MachineError(Problem(f"cuda:{local_rank}", "", wanted + cure))
        torch.cuda.set_device(local_rank)
    # DistributedDataParallel imports this module, whose functions take the group that there is at
    # that time as a default and so keep it, with its threads, beyond destroy_process_group.
    import_module("torch.distributed.nn.functional")
    dist.init_process_group("cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo")
    return Processes(rank, world, local_rank, int(os.environ.get("LOCAL_WORLD_SIZE", world)))


def stop_processes() -> None:
    """Leave the processes that train together, and end the threads that carried their tensors.

    One of them that still lets go of a tensor while the interpreter ends aborts the process.
    """
    if dist.is_initialized():
        gc.collect()  # A reducer that waits for it holds the group.
        dist.destroy_process_group()
