from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from runner.contracts import DataSpec, Sampler
from runner.data.crops import CentredCut, UniformCut
from runner.errors import RecipeError
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
