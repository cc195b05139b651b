from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from runner.contracts import DataSpec, Sampler
from runner.data.crops import CentredCut, UniformCut
from runner.errors import DataError, RecipeError
from runner.registry import samplers


@dataclass(frozen=True)
class Seven:
    spec: DataSpec = field(default_factory=lambda: DataSpec(("background", "safe", "danger")))

    def __len__(self) -> int:
        return 7


def built(name: str, **params: Any) -> Sampler:
    return samplers.parse({"name": name, "params": params}).build(Seven(), 4)


def drawn(sampler: Sampler, epoch: int = 0) -> list[tuple[int, Any]]:
    return list(sampler.epoch(epoch, np.random.Generator(np.random.Philox(epoch))))


@pytest.mark.parametrize(
    ("name", "params", "repeats"),
    [
        ("shuffled", {}, 1),
        ("random_crops", {}, 1),
        ("random_crops", {"crops_per_image": 4}, 4),
        ("rare_class_crops", {"classes": ["danger"], "crops_per_image": 3}, 3),
    ],
)
def test_an_epoch_draws_every_item_equally_often(
    name: str, params: dict[str, Any], repeats: int
) -> None:
    sampler = built(name, **params)
    items = [item for item, _ in drawn(sampler)]
    assert len(items) == len(sampler) == 7 * repeats
    assert Counter(items) == dict.fromkeys(range(7), repeats)
    assert items != sorted(items)
    assert drawn(sampler) == drawn(sampler)
    assert drawn(sampler) != drawn(sampler, epoch=1)


def test_each_sampler_gives_its_cut() -> None:
    assert {cut for _, cut in drawn(built("shuffled"))} == {None}
    assert {cut for _, cut in drawn(built("random_crops"))} == {UniformCut()}
    sampler = built("rare_class_crops", classes=["danger", "background"], probability=0.25)
    assert {cut for _, cut in drawn(sampler)} == {CentredCut((2, 0), 0.25)}


def test_unknown_classes_are_named_together() -> None:
    with pytest.raises(RecipeError) as raised:
        built("rare_class_crops", classes=["dangr", "safe", "sky"])
    first, second = map(str, raised.value.problems)
    assert first.startswith(
        "sampler.params.classes.0: no class is called 'dangr'; did you mean 'danger'"
    )
    assert second.startswith("sampler.params.classes.2: no class is called 'sky'")
    assert "background, safe, danger" in second


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("random_crops", {"crops_per_image": 0}),
        ("rare_class_crops", {}),
        ("rare_class_crops", {"classes": []}),
        ("rare_class_crops", {"classes": ["safe"], "probability": 1.1}),
        ("shuffled", {"crops_per_image": 1}),
    ],
)
def test_values_out_of_range_are_refused(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        built(name, **params)


@dataclass(frozen=True)
class Partly:
    """Items of which every fifth is labelled."""

    items: int = 23

    def __len__(self) -> int:
        return self.items

    @property
    def is_labelled(self) -> tuple[bool, ...]:
        return tuple(index % 5 == 0 for index in range(self.items))


def streams(batch_size: int = 6, split: Any = Partly(), **params: Any) -> Sampler:  # noqa: B008
    return samplers.parse({"name": "two_streams", "params": params}).build(split, batch_size)


def in_batches(sampler: Sampler, size: int, epoch: int = 0) -> list[list[int]]:
    items = [item for item, _ in drawn(sampler, epoch)]
    return [items[start : start + size] for start in range(0, len(items), size)]


@pytest.mark.parametrize(
    ("batch_size", "labelled_per_batch", "labelled"),
    [(6, None, 3), (7, None, 3), (6, 1, 1), (2, 1, 1)],
)
def test_every_batch_holds_as_many_labelled_items(
    batch_size: int, labelled_per_batch: int | None, labelled: int
) -> None:
    sampler = streams(batch_size, labelled_per_batch=labelled_per_batch)
    for epoch in range(3):
        for batch in in_batches(sampler, batch_size, epoch):
            assert [item % 5 == 0 for item in batch] == [
                place < labelled for place in range(batch_size)
            ]


def test_an_epoch_draws_every_unlabelled_item_once_and_fills_its_last_batch() -> None:
    sampler = streams(7, labelled_per_batch=2)
    items = Counter(item for item, _ in drawn(sampler) if item % 5)
    assert len(sampler) == 4 * 7
    assert set(items) == {item for item in range(23) if item % 5}
    assert sorted(items.values()) == [1] * 16 + [2] * 2


def test_the_shorter_stream_recurs_in_new_order() -> None:
    items = [item for item, _ in drawn(streams(labelled_per_batch=5)) if item % 5 == 0]
    passes = [items[start : start + 5] for start in range(0, len(items), 5)]
    assert all(sorted(each) == [0, 5, 10, 15, 20] for each in passes)
    assert len(set(map(tuple, passes))) > 1


def test_streams_are_a_function_of_the_epoch() -> None:
    assert drawn(streams()) == drawn(streams())
    assert drawn(streams()) != drawn(streams(), epoch=1)


def test_an_epoch_of_streams_can_be_shorter_or_longer_than_a_pass() -> None:
    assert len(streams(6, draws_per_epoch=12)) == 12
    assert len(streams(6, draws_per_epoch=601)) == 606
    assert len(drawn(streams(6, draws_per_epoch=601))) == 606


@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_process_is_given_both_kinds(world: int) -> None:
    for batch in in_batches(streams(6), 6):
        for rank in range(world):
            assert {item % 5 == 0 for item in batch[rank::world]} == {True, False}


@pytest.mark.parametrize(("batch_size", "labelled"), [(1, None), (4, 4), (4, 5)])
def test_a_share_that_no_batch_can_have_is_refused(batch_size: int, labelled: int | None) -> None:
    with pytest.raises(RecipeError, match=f"a batch of {batch_size} cannot hold"):
        streams(batch_size, labelled_per_batch=labelled)


@dataclass(frozen=True)
class OfOneKind(Partly):
    kind: bool = True

    @property
    def is_labelled(self) -> tuple[bool, ...]:
        return (self.kind,) * self.items


def test_a_stream_without_items_is_refused() -> None:
    with pytest.raises(DataError, match="none of the training is unlabelled; add images"):
        streams(split=OfOneKind(kind=True))
    with pytest.raises(DataError, match="none of the training is labelled; add masks"):
        streams(split=OfOneKind(kind=False))
