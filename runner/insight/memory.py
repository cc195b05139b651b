"""How much memory of a device a training step takes at least, traced without computing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    UnsupportedFakeTensorException,
)
from torch.autograd.graph import saved_tensors_hooks

from runner.contracts import Batch, Data, Progress, Ragged
from runner.engine.batches import train_loader
from runner.engine.precision import autocast
from runner.engine.reading import read_data
from runner.engine.run import from_scratch
from runner.language.load import Loaded
from runner.language.machine import Machine
from runner.language.recipe import Recipe
from runner.task import Task

_CPU = torch.device("cpu")
LATE = Progress(step=1e9, epoch=1e6, fraction=1.0)
"""What begins late in a training has begun."""

_NOT_TRACED = (
    DataDependentOutputException, DynamicOutputShapeException, UnsupportedFakeTensorException
)  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """What a training step keeps on its device, in bytes.

    Not counted: what single operations need while they run, libraries and the device's own context.

    Attributes:
        images: shape of the traced batch, (B, C, *spatial).
        weights: parameters and buffers.
        gradients: of what is trained.
        optimizer: its state.
        average: the moving average of the weights.
        activations: kept by the forward pass, losses included, for the backward one.
        computed: samples that the activations were measured on, where the task looks at values,
            which a trace does not have; 0 where they were traced.
    """

    images: tuple[int, ...]
    weights: int
    gradients: int
    optimizer: int
    average: int
    activations: int
    computed: int = 0

    @property
    def total(self) -> int:
        """Bytes of all of it."""
        kept = self.weights + self.gradients + self.optimizer + self.average
        return kept + self.activations


def estimate(loaded: Loaded, machine: Machine) -> Memory:
    """Return what a step of a recipe keeps, for a batch of its data; pretrained weights aside.

    Raises: RecipeError, DataError, MachineError: the data or a part cannot be built.
    """
    recipe = loaded.recipe
    data = read_data(recipe, machine)
    task: Task = from_scratch(recipe.task).build(data.spec)
    task.train()
    size, computed = recipe.train.batch_size, 0
    batch = _batch(data, recipe, size)
    try:
        activations = _traced_bytes(task, batch, recipe)
    except _NOT_TRACED:
        # Two hold both kinds where labelled and unlabelled samples are drawn.
        computed = min(2, size)
        activations = _computed_bytes(task, _batch(data, recipe, computed), recipe)
        activations = activations * size // computed
    trained = [p for group in task.groups().values() for _, p in group.parameters]
    average = 0
    if recipe.train.ema is not None:
        average = _bytes([*trained, *(b for b in task.buffers() if b.is_floating_point())])
    return Memory(
        images=tuple(batch.image.shape),
        weights=_bytes([*task.parameters(), *task.buffers()]),
        gradients=_bytes(trained),
        optimizer=_optimizer_bytes(task, recipe),
        average=average,
        activations=activations,
        computed=computed,
    )


def _bytes(tensors: list[Any]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _optimizer_bytes(task: Task, recipe: Recipe) -> int:
    """Return the size of the state, by what optimizers keep of stand-ins after a step."""
    total = 0
    for group in task.groups().values():
        stand_ins = {
            name: nn.Parameter(torch.zeros([2] * parameter.ndim))
            for name, parameter in group.parameters
        }
        optimizer = (group.optimizer or recipe.optimizer).build(list(stand_ins.items()))
        for each in stand_ins.values():
            each.grad = torch.zeros_like(each)
        optimizer.step()
        for name, parameter in group.parameters:
            kept = optimizer.state[stand_ins[name]].values()
            alike = [t for t in kept if isinstance(t, Tensor) and t.shape == stand_ins[name].shape]
            total += _bytes([parameter]) * len(alike)
    return total


def _traced_bytes(task: Task, batch: Batch, recipe: Recipe) -> int:
    """Return the size of what autograd keeps, for which nothing is computed."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    # Held until the end: the mode forgets, and gives away the storage of, what nobody holds.
    own = [mode.from_tensor(each) for each in (*task.parameters(), *task.buffers())]
    with mode:
        return _kept_bytes(task, _without_values(batch, mode), recipe, own)


def _computed_bytes(task: Task, batch: Batch, recipe: Recipe) -> int:
    """Return the size of what autograd keeps of a step on the CPU."""
    return _kept_bytes(task, batch, recipe, [*task.parameters(), *task.buffers()])


def _kept_bytes(task: Task, batch: Batch, recipe: Recipe, own: Sequence[Tensor]) -> int:
    """Return the size of all storages that autograd keeps but the task's own."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    # The terms hold autograd's graph, and it the storages: none is given away anew.
    with saved_tensors_hooks(keep, lambda tensor: tensor), autocast(recipe.train.precision, _CPU):
        _terms = task.losses(batch, LATE)
    weights = set(map(_storage, own))
    return sum(size for storage, size in kept.items() if storage not in weights)


def _batch(data: Data, recipe: Recipe, size: int) -> Batch:
    """Return a batch of the training."""
    split = data.splits["train"]
    sampler = recipe.sampler.build(split, size)
    return next(train_loader(split, sampler, batch_size=size, seed=recipe.train.seed))


def _storage(tensor: Tensor) -> int:
    number: int = tensor.untyped_storage()._cdata
    return number


def _without_values(batch: Batch, mode: FakeTensorMode) -> Batch:
    """Return the batch without values; those of ragged targets decide shapes and stay."""
    target = {
        name: value if isinstance(value, Ragged) else mode.from_tensor(value)
        for name, value in batch.target.items()
    }
    image, mean, std = map(mode.from_tensor, (batch.image, batch.mean, batch.std))
    return replace(batch, image=image, mean=mean, std=std, target=target)
