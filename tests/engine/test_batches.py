import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pytest
import torch
from tiny_training import SPEC, Shuffled, TinySplit

from runner.contracts import Batch, Draw, Drawn, Ragged, Sample
from runner.data.drawing import TwoStreams
from runner.engine.batches import (
    collate,
    draw_generator,
    epoch_generator,
    evaluation_loader,
    share_size,
    train_loader,
)
from runner.errors import DataError, MachineError, Problem, RecipeError


def first(count: int, split: TinySplit | None = None, **settings: int) -> list[Batch]:
    split = split or TinySplit()
    values = {"batch_size": 2, "seed": 3, **settings}
    return list(islice(train_loader(split, Shuffled(len(split)), **values), count))


def same(one: Batch, other: Batch) -> bool:
    return one.ids == other.ids and torch.equal(one.image, other.image)


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    alone, helped = first(14), first(14, workers=workers)
    assert all(map(same, alone, helped))


@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_can_begin_anywhere(drop_last: bool) -> None:
    whole = first(14, drop_last=drop_last)
    for start in range(13):
        (batch,) = first(1, start_batch=start, drop_last=drop_last)
        assert same(batch, whole[start])


class Breaking:
    """A sampler that breaks its word."""

    def __init__(self, items: list[int], length: int) -> None:
        self.items, self.length = items, length

    def __len__(self) -> int:
        return self.length

    def epoch(self, *_: object) -> Iterator[Drawn]:
        yield from ((item, None) for item in self.items)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([0, 1], "sampler: draws 2 samples in epoch 0, its length is 4"),
        ([0, 1, 2, 11], "sampler: draws item 11 in epoch 0, of items 0 to 10"),
        ([0, 1, 2, -1], "sampler: draws item -1 in epoch 0, of items 0 to 10"),
    ],
)
def test_a_sampler_that_breaks_its_word_is_told_so(items: list[int], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        next(train_loader(TinySplit(), Breaking(items, 4), batch_size=2, seed=3))


@dataclass(frozen=True)
class Sized(TinySplit):
    """Gives images of the size that is asked for."""

    sizes_px: tuple[int, ...] = (4, 8, 12)

    def load(self, draw: Draw, generator: np.random.Generator) -> Sample:
        own = super().load(draw, generator)
        assert draw.size_px is not None
        return replace(own, image=np.zeros((1, draw.size_px, draw.size_px), np.uint8))


def test_a_size_is_drawn_for_each_batch_and_every_process_draws_the_same() -> None:
    def sizes(split: TinySplit, count: int = 40, **settings: int) -> list[int]:
        batches = train_loader(
            split, Shuffled(len(split)), **{"batch_size": 2, "seed": 3, **settings}
        )
        return [batch.image.shape[-1] for batch in islice(batches, count)]

    whole = sizes(Sized())
    assert set(whole) == {4, 8, 12}
    assert whole == sizes(Sized(), rank=0, world=2) == sizes(Sized(), rank=1, world=2)
    assert whole[7:] == sizes(Sized(), count=33, start_batch=7)
    assert whole == sizes(Sized(), workers=1)
    assert whole != sizes(Sized(), seed=4)


def test_two_streams_can_begin_anywhere() -> None:
    split = TinySplit()
    streams = TwoStreams((0, 1, 2), tuple(range(3, len(split))), 1, 3, 3)

    def ids(count: int, start_batch: int = 0) -> list[tuple[str, ...]]:
        batches = train_loader(split, streams, batch_size=4, seed=3, start_batch=start_batch)
        return [batch.ids for batch in islice(batches, count)]

    whole = ids(12)
    assert [ids(12 - start, start) for start in range(12)] == [whole[start:] for start in range(12)]
    assert len(set(whole)) == 12


def test_an_item_that_recurs_is_augmented_anew() -> None:
    images = {batch.ids[0]: [] for batch in first(11, batch_size=1)}
    for batch in first(22, batch_size=1):
        images[batch.ids[0]].append(batch.image)
    assert all(len(pair) == 2 and not torch.equal(*pair) for pair in images.values())


def test_each_epoch_draws_every_item_in_an_order_of_its_own() -> None:
    batches = first(12)
    epochs = [[i for b in batches[:6] for i in b.ids], [i for b in batches[6:] for i in b.ids]]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(TinySplit().ids)


def test_another_seed_draws_otherwise() -> None:
    assert not any(map(same, first(6), first(6, seed=4)))


def test_the_loader_leaves_torchs_own_generator_alone() -> None:
    before = torch.get_rng_state()
    first(3)
    first(3, workers=1)
    list(evaluation_loader(TinySplit(), batch_size=4))
    assert torch.equal(torch.get_rng_state(), before)


def test_draws_and_epochs_of_one_number_share_no_random_numbers() -> None:
    for seed in (0, 5, 2**64 - 1):
        assert draw_generator(seed, 3).random() != epoch_generator(seed, 3).random()
    assert draw_generator(2**64 - 1, 3).random() != draw_generator(2**64 - 2, 3).random()


def test_processes_share_every_batch() -> None:
    whole = first(6, batch_size=4)
    parts = [first(6, batch_size=4, rank=rank, world=2) for rank in (0, 1)]
    for batch, one, other in zip(whole[:2], *parts, strict=False):
        assert sorted(batch.ids) == sorted(one.ids + other.ids)
        assert (len(one), len(other)) == (2, 2)


def test_a_process_without_a_sample_repeats_one_that_does_not_count() -> None:
    last = [first(3, batch_size=10, rank=rank, world=2)[1] for rank in (0, 1)]
    assert last[0].ids == last[1].ids
    assert [share_size(1, rank, 2) for rank in (0, 1)] == [1, 0]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_an_evaluation_looks_at_each_item_once(world: int) -> None:
    loaders = [
        evaluation_loader(TinySplit(), batch_size=2, rank=rank, world=world)
        for rank in range(world)
    ]
    for _ in range(2):
        ids = [name for loader in loaders for batch in loader for name in batch.ids]
        assert sorted(ids) == sorted(TinySplit().ids)


def test_an_evaluation_is_the_same_each_time_and_with_workers() -> None:
    alone = list(evaluation_loader(TinySplit(), batch_size=4))
    helped = evaluation_loader(TinySplit(), batch_size=4, workers=2)
    for _ in range(2):
        assert all(map(same, alone, helped))
    assert len(helped) == len(alone) == 3


def sample(name: str, boxes: int, size: int = 2) -> Sample:
    return Sample(
        id=name,
        image=np.full((1, size, size), 7, np.uint8),
        target={"boxes": np.full((boxes, 5), boxes, np.float32), "mask": np.ones((2, 2), np.uint8)},
        mean=np.zeros(1, np.float32),
        std=np.ones(1, np.float32),
        is_labelled=boxes > 0,
    )


def test_ragged_targets_keep_their_counts() -> None:
    batch = collate([sample("a", 2), sample("b", 0), sample("c", 1)], frozenset({"boxes"}))
    boxes = batch.target["boxes"]
    assert isinstance(boxes, Ragged)
    assert boxes.counts.tolist() == [2, 0, 1]
    assert boxes.values[:, 0].tolist() == [2, 2, 1]
    assert batch.image.dtype == torch.uint8
    assert batch.target["mask"].shape == (3, 2, 2)
    assert batch.is_labelled.tolist() == [True, False, True]


def test_samples_of_different_shape_are_named() -> None:
    with pytest.raises(DataError, match=r"b: data.params: .*\(1, 3, 3\).*with a.*crop or resize"):
        collate([sample("a", 1), sample("b", 1, size=3)], frozenset({"boxes"}))


@dataclass(frozen=True)
class Faulty(TinySplit):
    """Fails in one of several ways when asked for an item."""

    how: str = "data"

    def load(self, draw: Draw, generator: np.random.Generator) -> Sample:
        if draw.index in (2, 3) and self.how == "data":
            raise DataError(Problem(f"masks/{draw.index}.png", "data", "is truncated; replace it"))
        if self.how == "recipe":
            raise RecipeError(Problem("", "data.params.transforms", "never fit"))
        if draw.index == 2 and self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if draw.index == 2 and self.how == "bug":
            raise RuntimeError("a bug of the dataset")
        return super().load(draw, generator)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_error_arrives_with_all_its_problems(workers: int) -> None:
    with pytest.raises(DataError) as caught:
        first(11, Faulty(), batch_size=11, workers=workers)
    assert {problem.place for problem in caught.value.problems} == {"masks/2.png", "masks/3.png"}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_recipe_error_of_a_worker_arrives_as_one(workers: int) -> None:
    with pytest.raises(RecipeError) as caught:
        first(11, Faulty(how="recipe"), batch_size=11, workers=workers)
    assert caught.value.problems == (Problem("", "data.params.transforms", "never fit"),)


def test_a_killed_worker_is_the_machines_fault() -> None:
    with pytest.raises(MachineError, match=r"data loader: DataLoader worker .*use fewer workers"):
        first(11, Faulty(how="killed"), workers=1)


def test_a_bug_in_a_worker_stays_a_bug() -> None:
    with pytest.raises(RuntimeError, match="a bug of the dataset"):
        first(11, Faulty(how="bug"), workers=1)


def test_the_split_says_what_is_ragged() -> None:
    assert frozenset() == SPEC.ragged
