"""Samples drawn, loaded in worker processes and put together as batches, the same on each machine.

What a batch holds depends on the seed and its number in the run: neither on how many workers
load it nor on whether the run was interrupted before.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from runner.contracts import Batch, Draw, Ragged, Sample, Sampler, Split
from runner.engine.machine import worker_loss
from runner.engine.workers import ended_at_exit, prepare_worker
from runner.errors import DataError, Problem, RecipeError, RunnerError, joined

_TIMEOUT_S = 600.0


def _philox(seed: int, number: int, *, stream: int) -> np.random.Philox:
    # numpy would read a plain list with a seed above 2**63 as floats.
    key = np.array([seed, number], dtype=np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, 0, 0, stream], dtype=np.uint64))


def draw_generator(seed: int, number: int) -> np.random.Generator:
    """Return the generator of all that is random about one draw."""
    return np.random.Generator(_philox(seed, number, stream=0))


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Return the generator of what a sampler draws in one epoch."""
    # Another counter than the draws': epoch 3 shares nothing with draw 3.
    return np.random.Generator(_philox(seed, epoch, stream=1))


def batch_generator(seed: int, number: int) -> np.random.Generator:
    """Return the generator of what all draws of one batch, over all processes, share."""
    return np.random.Generator(_philox(seed, number, stream=2))


def collate(samples: Sequence[Sample], ragged: frozenset[str]) -> Batch:
    """Return samples as one batch.

    Args:
        samples: with images of one shape.
        ragged: names of the targets whose length differs from sample to sample.
    Raises: DataError: two samples differ in shape, or in what their targets are called.
    """
    first = samples[0]
    for sample in samples[1:]:
        _check_alike(first, sample, ragged)
    target: dict[str, Any] = {}
    for name in first.target:
        values = [sample.target[name] for sample in samples]
        target[name] = _ragged(values) if name in ragged else _stacked(values)
    return Batch(
        ids=tuple(sample.id for sample in samples),
        image=_stacked([sample.image for sample in samples]),
        target=target,
        mean=_stacked([sample.mean for sample in samples]),
        std=_stacked([sample.std for sample in samples]),
        is_labelled=torch.tensor([sample.is_labelled for sample in samples]),
    )


def _check_alike(first: Sample, other: Sample, ragged: frozenset[str]) -> None:
    mine, theirs = _shapes(first, ragged), _shapes(other, ragged)
    if mine != theirs:
        message = f"{theirs} cannot be put into one batch with {first.id}, which is {mine}"
        cure = "; crop or resize the samples to one size in the dataset's transforms"
        raise DataError(Problem(other.id, "data.params", message + cure))


def _shapes(sample: Sample, ragged: frozenset[str]) -> dict[str, tuple[int, ...]]:
    fixed = {name: value for name, value in sample.target.items() if name not in ragged}
    shapes = {name: value.shape for name, value in {"image": sample.image, **fixed}.items()}
    return {**shapes, **{name: (-1,) for name in sample.target if name in ragged}}


def _stacked(values: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(values))


def _ragged(values: Sequence[np.ndarray]) -> Ragged:
    counts = [len(value) for value in values]
    return Ragged(torch.from_numpy(np.concatenate(values)), torch.tensor(counts), max(counts))


def share(draws: Sequence[Draw], rank: int, world: int) -> list[Draw]:
    """Return this process's part of a global batch; never none, for all must run the model.

    Where an epoch's last batch has fewer samples than there are processes, the first one is
    repeated; ``share_size`` then says 0, and the loop weights it so.
    """
    return list(draws[rank::world]) or [draws[0]]


def share_size(batch_size: int, rank: int, world: int) -> int:
    """Return how many samples of a global batch count in this process."""
    return len(range(rank, batch_size, world))


@dataclass(frozen=True)
class _Batches:
    """The endless sequence of this process's batches, from any of them on."""

    sampler: Sampler
    items: int
    batch_size: int
    drop_last: bool
    seed: int
    start_batch: int
    rank: int
    world: int
    sizes_px: Sequence[int] = ()

    def __iter__(self) -> Iterator[list[Draw]]:
        draws_per_epoch = len(self.sampler)
        batches = draws_per_epoch // self.batch_size
        if not self.drop_last:
            batches = -(-draws_per_epoch // self.batch_size)
        first_epoch, skipped = divmod(self.start_batch, batches)
        for epoch in count(first_epoch):
            numbers = count(epoch * draws_per_epoch)
            items = self.sampler.epoch(epoch, epoch_generator(self.seed, epoch))
            draws = [Draw(next(numbers), *item) for item in items]
            self._check(draws, draws_per_epoch, epoch)
            for batch in range(skipped, batches):
                start = batch * self.batch_size
                whole = draws[start : start + self.batch_size]
                part = share(whole, self.rank, self.world)
                yield self._sized(part, epoch * batches + batch)
            skipped = 0

    def _check(self, draws: Sequence[Draw], expected: int, epoch: int) -> None:
        """Raise a RecipeError where a sampler breaks its word; one of a user's own may."""
        told = ""
        if len(draws) != expected:
            told = f"draws {len(draws)} samples in epoch {epoch}, its length is {expected}"
        elif outside := [draw.index for draw in draws if not 0 <= draw.index < self.items]:
            told = f"draws item {outside[0]} in epoch {epoch}, of items 0 to {self.items - 1}"
        if told:
            raise RecipeError(Problem("", "sampler", f"{told}; correct the sampler"))

    def _sized(self, draws: list[Draw], number: int) -> list[Draw]:
        if not self.sizes_px:
            return draws
        size_px = int(batch_generator(self.seed, number).choice(self.sizes_px))
        return [replace(draw, size_px=size_px) for draw in draws]


class _Loads(Dataset[Any]):
    """A split, loaded draw by draw; what is wrong with an item is returned in its place.

    torch builds a worker's exception anew from its text, which would lose file and cure.
    """

    def __init__(self, split: Split, seed: int) -> None:
        self.split, self.seed = split, seed

    def __getitem__(self, draw: Draw) -> Sample | RunnerError:
        try:
            return self.split.load(draw, draw_generator(self.seed, draw.number))
        except RunnerError as error:
            return error


@dataclass(frozen=True)
class _Collates:
    ragged: frozenset[str]

    def __call__(self, loaded: Sequence[Sample | RunnerError]) -> Batch | RunnerError:
        errors = [each for each in loaded if isinstance(each, RunnerError)]
        if errors:
            return joined(errors)
        try:
            return collate([each for each in loaded if isinstance(each, Sample)], self.ragged)
        except DataError as error:
            return error


def _loader(split: Split, batches: Any, seed: int, workers: int, pin_memory: bool) -> Any:
    return DataLoader(
        _Loads(split, seed),
        batch_sampler=batches,
        collate_fn=_Collates(split.spec.ragged),
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        timeout=_TIMEOUT_S if workers else 0,
        worker_init_fn=prepare_worker,
        pin_memory=pin_memory,
        # One of its own: without it the loader draws from torch's, and resume is not exact.
        generator=torch.Generator().manual_seed(seed),
    )


def _batches_of(loader: Any) -> Iterator[Batch]:
    """Yield a loader's batches; raise what its workers found wrong, or that one is lost."""
    with warnings.catch_warnings():
        # Workers only read files and fill arrays: the parent's threads hold nothing they need.
        warnings.filterwarnings("ignore", r".*use of fork\(\)", DeprecationWarning)
        # The first batches are drawn here, by the workers that are there then: a sampler may fail.
        with ended_at_exit():
            source = iter(loader)
    while True:
        try:
            batch = next(source, None)
        except RuntimeError as error:
            lost = worker_loss(error)
            if lost is None:
                raise
            raise lost from error
        if batch is None:
            return
        if isinstance(batch, RunnerError):
            raise batch
        yield batch


def train_loader(
    split: Split,
    sampler: Sampler,
    *,
    batch_size: int,
    seed: int,
    start_batch: int = 0,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    pin_memory: bool = False,
    drop_last: bool = False,
) -> Iterator[Batch]:
    """Return this process's endless batches of a training, from batch number ``start_batch`` on.

    Args:
        split: what to draw from.
        sampler: which samples an epoch draws.
        batch_size: samples of a forward pass over all processes; a multiple of ``world``.
        seed: of the run; in [0, 2**64).
        start_batch: batches of the run that were trained on before.
        workers: processes that load; 0 loads in this one.
        rank: of this process.
        world: how many processes train together; each is given its share of every batch.
        pin_memory: whether to page-lock batches for a faster copy to the device.
        drop_last: whether an epoch's last batch is left out where it is not full.
    Raises: DataError: while iterating: an item cannot be read.
        RecipeError: while iterating: the sampler draws what there is not, or not as often as it
            says.
        MachineError: while iterating: a worker was killed, or hangs.
    """
    assert batch_size % world == 0, (batch_size, world)  # make_plan refuses it
    sizes_px = getattr(split, "sizes_px", ())
    batches = _Batches(
        sampler, len(split), batch_size, drop_last, seed, start_batch, rank, world, sizes_px
    )
    return _batches_of(_loader(split, batches, seed, workers, pin_memory))


class EvaluationBatches:
    """The batches of a split in order; may be iterated again, its workers then wait for it."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        return _batches_of(self._loader)


def evaluation_loader(
    split: Split,
    *,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    pin_memory: bool = False,
) -> EvaluationBatches:
    """Return the batches of an evaluation: each item once over all processes, the last kept.

    Args:
        split: what to look at.
        batch_size: samples of a forward pass in this process.
        workers: processes that load; 0 loads in this one.
        rank: of this process.
        world: how many processes evaluate together.
        pin_memory: whether to page-lock batches for a faster copy to the device.
    """
    draws = iter([Draw(index, index) for index in range(rank, len(split), world)])
    batches = list(iter(lambda: list(islice(draws, batch_size)), []))
    return EvaluationBatches(_loader(split, batches, 0, workers, pin_memory))
