"""The processes that train together: plain ``torch.distributed``, started by torchrun."""

from __future__ import annotations

import gc
import os
import pickle
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from runner.errors import MachineError, Problem, RunnerError, joined

_BROKEN = re.compile(r"gloo/transport|NCCL")
_WORD_WITHIN_S = 5.0


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: of this process; 0 writes and speaks.
        world: how many there are.
        local_rank: of this process on its machine; picks the device.
        local_world: how many there are on its machine, which share its cores.
        store: where a process that fails leaves word for the others; None where there are none.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    store: Any = field(default=None, compare=False, repr=False)

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

    def follow_main(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors with the main process's; every process must call it."""
        if self.world > 1:
            for tensor in tensors:
                sent = tensor.contiguous()
                dist.broadcast(sent, 0)
                if sent is not tensor:
                    tensor.copy_(sent)

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """Raise in every process, at its end, what any of them met in the block.

        Every process must enter it, and none may wait for another inside.
        """
        error: RunnerError | None = None
        try:
            yield
        except RunnerError as raised:
            if self.world == 1:
                raise
            error = raised
        if self.any(error is not None):
            met = [each for each in self.gather(error) if each is not None]
            raise joined(met) from error

    def leave_word(self, error: BaseException) -> None:
        """Tell those who may be waiting for this process why it leaves."""
        if self.store is None:
            return
        told = error
        if not isinstance(error, RunnerError):
            told = RuntimeError(f"in process {self.rank}: {type(error).__name__}: {error}")
        with suppress(RuntimeError):  # The process that keeps the store has left already.
            self.store.set(f"runner/word/{self.rank}", pickle.dumps(told))

    def why_alone(self, error: RuntimeError) -> Exception | None:
        """Return why a process has left that this one waited for, by the word that it left.

        Returns: None where the error is no lost connection.
        """
        if self.store is None or not _BROKEN.search(str(error)):
            return None
        words = self._words()
        ours = [each for each in words if not isinstance(each, RunnerError)]
        if words:
            return ours[0] if ours else joined([w for w in words if isinstance(w, RunnerError)])
        cure = "the system kills what takes too much memory: use a smaller batch or fewer workers"
        message = f"another process of the training ended without a word; {cure}"
        return MachineError(Problem(f"process {self.rank}", "", message))

    def _words(self) -> list[Exception]:
        """Return what the others have said on leaving, waiting a little for the first."""
        until_s = time.monotonic() + _WORD_WITHIN_S
        keys = [f"runner/word/{rank}" for rank in range(self.world) if rank != self.rank]
        try:
            while time.monotonic() < until_s:
                if left := [key for key in keys if self.store.check([key])]:
                    return [pickle.loads(self.store.get(key)) for key in left]
                time.sleep(0.05)
        except RuntimeError:
            return []  # It was kept by the process that has left.
        return []


def start_processes(device_type: str) -> Processes:
    """Join the processes that torchrun started; alone where it did not.

    Args:
        device_type: ``cpu`` or ``cuda``, what the training runs on.
    Raises: MachineError: torchrun started more processes than this machine has devices, or another
        launcher does not say which of them each process takes.
    """
    if "RANK" not in os.environ:
        return Processes()
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if device_type == "cuda" and "LOCAL_RANK" not in os.environ:
        message = (
            "is not set, and says which device a process takes; start with torchrun, or set it"
        )
        raise MachineError(Problem("LOCAL_RANK", "", message))
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
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
    store, rank, world = next(rendezvous("env://"))
    store.delete_key(f"runner/word/{rank}")  # torchrun keeps the store when it starts them anew.
    backend = "cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world)
    local_world = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    return Processes(rank, world, local_rank, local_world, store)


def stop_processes() -> None:
    """Leave the processes that train together, and end the threads that carried their tensors.

    One of them that still lets go of a tensor while the interpreter ends aborts the process.
    """
    if dist.is_initialized():
        gc.collect()  # A reducer that waits for it holds the group.
        dist.destroy_process_group()
