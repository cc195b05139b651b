"""One optimizer step: forward, backward, guard, update, without waiting for the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from runner.contracts import Batch, Progress
from runner.engine.batches import share_size
from runner.engine.history import SKIPS_IN_A_ROW
from runner.engine.precision import autocast
from runner.engine.state import Run
from runner.errors import Problem, RecipeError
from runner.nets.reduction import sharing
from runner.task import Task

_AS_IT_IS = nullcontext()
_LOST = "skipped/lost"
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Buffers:
    """A task's floating-point buffers, put back when a step is not applied.

    A forward pass on a poisoned batch has spoilt BatchNorm's statistics before its loss is known.
    Tasks change buffers in place, as DistributedDataParallel asks of them too.
    """

    def __init__(self, task: nn.Module) -> None:
        buffers = [buffer for buffer in task.buffers() if buffer.is_floating_point()]
        # Chosen bit by bit, as whole numbers: 0 times NaN is NaN, but 0 times its bits is 0.
        self._bits = [buffer.view(_BITS[buffer.element_size()]) for buffer in buffers]
        self._kept = [bits.clone() for bits in self._bits]

    def keep(self) -> None:
        """Remember the values of now."""
        if self._bits:
            torch._foreach_copy_(self._kept, self._bits)

    def put_back(self, skipped: Tensor) -> None:
        """Return to the remembered values where ``skipped`` is 1, change nothing where it is 0."""
        if self._bits:
            away = torch._foreach_sub(self._kept, self._bits)
            torch._foreach_mul_(away, skipped.to(torch.int8))
            torch._foreach_add_(self._bits, away)


@dataclass(frozen=True)
class _Stepped:
    """Figures of a step that are still on the device."""

    names: tuple[str, ...]
    figures: list[Tensor]
    ids: list[str]


class Stepper:
    """Takes the steps of a run; its figures wait on the device until ``read``."""

    def __init__(self, run: Run, *, may_wait: bool | None = None) -> None:
        """Prepare to take steps.

        Args:
            run: whose steps.
            may_wait: whether to look at each step's flag before the update. By default all but on
                CUDA, as the CPU waits for nothing, and with optimizers that cannot skip a step.
        """
        self._run = run
        self._parameters = [group.parameters for group in run.groups]
        self._limits = [_scalar(group.clip_norm, run) for group in run.groups]
        self._one = _scalar(1.0, run)
        if may_wait is None:
            unfused = not all(_can_skip(group.optimizer) for group in run.groups)
            may_wait = run.device.type != "cuda" or unfused
        self._may_wait = may_wait
        self._buffers = Buffers(run.task)
        self._factors: dict[str, float] = {}
        self._pending: list[_Stepped] = []
        self._autocast = autocast(run.precision, run.device)
        if run.compile:
            for net in _nets(run.task):
                net.compile()
        self._model: nn.Module = run.task
        if run.processes.world > 1:
            devices = [run.device] if run.device.type == "cuda" else None
            self._model = DistributedDataParallel(run.task, device_ids=devices)
        run.task.train()

    def step(self, batches: Iterator[Batch]) -> int:
        """Take one optimizer step; return how many samples it descended."""
        run, memory = self._run, self._run.memory
        progress = run.plan.progress(memory.step, memory.monitored)
        for group in run.groups:
            scale = run.lr_scale if group.is_scaled else 1.0
            factor = self._factors[group.name] = group.schedule(progress) * scale
            if factor < 0:
                message = f"its factor of the learning rate is {factor:g} at step {memory.step}"
                cure = "a schedule gives 0 or more"
                raise RecipeError(Problem("", "schedule", f"{message}; {cure}"))
            for each in group.optimizer.param_groups:
                each["lr"] = each["initial_lr"] * factor
        self._buffers.keep()
        samples, ids, terms = self._descend(batches, progress)
        loss = reduce(add, terms.values())
        self._unscale()
        own = {name: value.detach().float() for name, value in run.task.figures().items()}
        norms = self._clip()
        whole = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
        skipped, *lost = self._flags(loss, loss + whole)
        self._update(skipped)
        memory.step += 1
        run.task.after_step(run.plan.progress(memory.step, memory.monitored))

        names = (*(f"loss/{name}" for name in terms), "grad_norm", "skipped")
        figures = [*terms.values(), whole, skipped]
        if lost:
            names, figures = (*names, _LOST), [*figures, *lost]
        if len(norms) > 1:
            names = (*names, *(f"grad_norm/{group.name}" for group in run.groups))
            figures += norms
        names, figures = (*names, *own), [*figures, *own.values()]
        self._pending.append(_Stepped(names, figures, ids))
        return samples

    def _descend(
        self, batches: Iterator[Batch], progress: Progress
    ) -> tuple[int, list[str], dict[str, Tensor]]:
        """Add up gradients, weighted by samples; return samples, names, and the terms' values."""
        run = self._run
        rank, world = run.processes.rank, run.processes.world
        sizes = [run.plan.samples(number) for number in run.plan.group(run.memory.step)]
        samples = sum(sizes)
        ids: list[str] = []
        descended: dict[str, Tensor] = {}
        for position, size in enumerate(sizes):
            batch = moved(next(batches), run)
            own = share_size(size, rank, world)
            ids += batch.ids[:own]
            # DistributedDataParallel averages over processes, whatever their shares.
            weight = own * world / samples
            with self._without_sync(position + 1 < len(sizes)):
                with self._autocast, self._sharing(own * world / size):
                    terms = self._model(batch, progress)
                assert terms, "a task has at least one loss term"
                weighted = {
                    name: term.float() if weight == 1.0 else term.float() * weight
                    for name, term in terms.items()
                }
                loss = reduce(add, weighted.values())
                if not loss.requires_grad:
                    message = "depends on no weight that is trained; return it undetached"
                    raise RecipeError(Problem("", "loss", message))
                if run.loss_scale:
                    loss = loss * run.loss_scale.value
                loss.backward()
            for name, term in weighted.items():
                value = term.detach()
                descended[name] = descended[name] + value if name in descended else value
        return samples, ids, descended

    def _flags(self, loss: Tensor, both: Tensor) -> list[Tensor]:
        """Return whether the step is skipped and, with a loss scale, whether its batch is lost.

        A step is skipped where loss or gradients are not finite, 0 or 1, the same in every process.
        The batch is not lost where only the loss scale was too large, which mends itself.

        Args:
            loss: of this process's samples.
            both: its sum with the gradients' norm.
        """
        scale = self._run.loss_scale
        # A finite number less itself is 0, any other NaN, which alone differs from itself.
        apart = both if scale is None else torch.stack([both, loss])
        apart -= apart
        flags = self._run.processes.largest(apart.ne_(apart))
        if scale is None:
            return [flags]
        # Of now: the scale has moved on by the time that figures are read.
        is_smallest = (scale.value <= scale.smallest).float()
        return [flags[0], torch.maximum(flags[1], is_smallest)]

    def _without_sync(self, wanted: bool) -> Any:
        if wanted and isinstance(self._model, DistributedDataParallel):
            return self._model.no_sync()
        return _AS_IT_IS

    def _sharing(self, share: float) -> Any:
        return _AS_IT_IS if self._run.processes.world == 1 else sharing(share)

    def _unscale(self) -> None:
        """Undo the loss scale of gradients."""
        if self._run.loss_scale:
            every = [p.grad for each in self._parameters for p in each if p.grad is not None]
            if every:
                torch._foreach_mul_(every, 1 / self._run.loss_scale.value)

    def _clip(self) -> list[Tensor]:
        """Scale gradients down to each group's norm; return the norms from before."""
        norms = []
        for limit, parameters in zip(self._limits, self._parameters, strict=True):
            gradients = [p.grad for p in parameters if p.grad is not None]
            if not gradients:
                norms.append(torch.zeros((), device=self._run.device))
                continue
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            if limit is not None:
                torch._foreach_mul_(gradients, torch.minimum(limit / norm, self._one))
            norms.append(norm)
        return norms

    def _update(self, skipped: Tensor) -> None:
        """Step the optimizers and what follows the weights, unless ``skipped`` is 1."""
        run = self._run
        is_skipped = self._may_wait and bool(skipped)
        for group, parameters in zip(run.groups, self._parameters, strict=True):
            optimizer: Any = group.optimizer
            if not self._may_wait:
                optimizer.grad_scale, optimizer.found_inf = None, skipped
            if not is_skipped:
                optimizer.step()
            for parameter in parameters:
                parameter.grad = None
        if is_skipped or not self._may_wait:
            self._buffers.put_back(skipped)
        if run.loss_scale:
            run.loss_scale.update(skipped)
        if run.ema and not is_skipped:
            run.ema.update(run.memory.step, 1 - skipped)

    def read(self) -> None:
        """Wait for the device, and put the figures of the steps since into the run's memory."""
        if not self._pending:
            return
        values = iter(torch.stack([f for each in self._pending for f in each.figures]).tolist())
        memory = self._run.memory
        for each in self._pending:
            row = {name: next(values) for name in each.names}
            is_lost = row.pop(_LOST, True)
            terms = [value for name, value in row.items() if name.startswith("loss/")]
            memory.window.append({"loss": sum(terms), **row})
            if row["skipped"] and is_lost:
                memory.lost_batches.append(self._all_ids(each.ids))
                memory.skipped_in_a_row += 1
            # Enough of them end the training at the next logging step, whatever follows.
            elif not row["skipped"] and memory.skipped_in_a_row < SKIPS_IN_A_ROW:
                memory.skipped_in_a_row = 0
        self._pending.clear()

    def learning_rates(self) -> dict[str, float]:
        """Return each group's learning rate at the last step."""
        groups = self._run.groups
        return {g.name: g.optimizer.defaults["lr"] * self._factors[g.name] for g in groups}

    def weights_are_finite(self) -> bool:
        """Wait for the device, and return whether every weight is a number."""
        weights = [p.detach() for parameters in self._parameters for p in parameters]
        return bool(torch.stack(torch._foreach_norm(weights)).isfinite().all())

    def _all_ids(self, ids: list[str]) -> list[str]:
        return [name for part in self._run.processes.gather(ids) for name in part]


def _nets(task: Task) -> Iterator[nn.Module]:
    """Yield what a task calls as modules, and what a task that it wraps does."""
    for child in task.children():
        if isinstance(child, Task):
            yield from _nets(child)
        elif next(child.parameters(), None) is not None:
            yield child


def moved(batch: Batch, run: Run) -> Batch:
    """Return a batch on the run's device, laid out in memory as its models want it."""
    if batch.image.device != run.device:
        batch = batch.to(run.device, non_blocking=True)
    if run.channels_last:
        layout = torch.channels_last if batch.image.ndim == 4 else torch.channels_last_3d
        batch = replace(batch, image=batch.image.contiguous(memory_format=layout))
    return batch


def _can_skip(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether it skips a step by a flag on the device, as torch's fused ones do."""
    return getattr(optimizer, "_step_supports_amp_scaling", False)


def _scalar(value: float | None, run: Run) -> Any:
    """Return a number as a tensor: an operation of two tensors takes half as long on the CPU."""
    return None if value is None else torch.tensor(value, device=run.device)
