from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from runner.contracts import DataSpec, Sampler
from runner.data.crops import UniformCut
from runner.data.volumes.patches import AroundForegroundCut, ForegroundCut
from runner.errors import RecipeError
from runner.registry import datasets, samplers, transforms

PARAMS: dict[str, Any] = {
    "root": "x",
    "images": "i/*.tif",
    "labels": "l/{stem}.tif",
    "patch": [8, 8, 8],
    "splits": {"folds": {"count": 5, "fold": 0}, "seed": 0},
}


def parsed(**changed: Any) -> Any:
    return datasets.parse({"name": "volumes", "params": {**PARAMS, **changed}})


@dataclass(frozen=True)
class Five:
    spec: DataSpec = field(
        default_factory=lambda: DataSpec(("background", "surface"), 1, dimensions=3)
    )

    def __len__(self) -> int:
        return 5


def built(name: str, **params: Any) -> Sampler:
    return samplers.parse({"name": name, "params": params}).build(Five(), 2)


def drawn(sampler: Sampler, epoch: int = 0) -> list[tuple[int, Any]]:
    return list(sampler.epoch(epoch, np.random.Generator(np.random.Philox(epoch))))


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({}, "exactly one of fractions, lists, folds, z_ranges"),
        ({"folds": {"count": 5, "fold": 0}}, "seed belongs to fractions or folds"),
        ({"folds": {"count": 5, "fold": 5}, "seed": 1}, "there is no fold 5 of 5"),
        ({"folds": {"count": 1, "fold": 0}, "seed": 1}, "greater than or equal to 2"),
        ({"lists": {"train": "a", "val": "b"}, "seed": 1}, "seed belongs"),
        ({"lists": {"train": "a"}}, "there is no split val"),
        ({"fractions": {"train": 0.5, "val": 0.4}, "seed": 1}, "sum to 0.9, not to 1"),
        ({"z_ranges": {"train": [0, 8], "val": [7, 9]}}, "overlap; part them"),
        ({"z_ranges": {"train": [8, 8], "val": [8, 9]}}, "write the smaller end first"),
        ({"z_ranges": {"train": [-1, 8], "val": [8, 9]}}, "greater than or equal to 0"),
        (
            {"z_ranges": {"train": [0, 8], "val": [8, 9]}, "groups": {"file": "a", "column": "b"}},
            "has no groups",
        ),
        ({"folders": {"train": "a", "val": "b"}}, "did you mean 'folds'"),
    ],
)
def test_wrong_splits_are_refused(splits: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        parsed(splits=splits)
    assert said in str(raised.value)
    assert all(each["loc"][:2] == ("params", "splits") for each in raised.value.errors())


@pytest.mark.parametrize(
    "changed",
    [
        {"patch": [8, 8]},
        {"patch": [8, 8, 0]},
        {"foreground": []},
        {"foreground": [-1]},
        {"foreground": [1.0]},
        {"label_policy": "merge"},
        {"classes": ["a"]},
        {"normalise": "minmax"},
        {"percentiles": [99.5, 0.5]},
        {"percentiles": [0.5, 101.0]},
        {"validation": "squash"},
        {"cache": True},
    ],
)
def test_values_out_of_range_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(**changed)


@pytest.mark.parametrize(
    "splits",
    [
        PARAMS["splits"],
        {"z_ranges": {"train": [0, 8], "val": [9, 12]}},
        {
            "fractions": {"train": 0.75, "val": 0.25}, "seed": 1,
            "groups": {"file": "train.csv", "column": "scroll_id"},
        },
    ],
)  # fmt: skip
def test_a_part_is_parsed_dumped_and_parsed_again(splits: dict[str, Any]) -> None:
    part = parsed(splits=splits, foreground=[1, 2], percentiles=[0.5, 99.5])
    dumped = part.dump()
    assert datasets.parse(dumped).dump() == dumped
    assert dumped["params"]["foreground"] == [1, 2]


@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("random_patches", {UniformCut()}),
        ("foreground_patches", {ForegroundCut(10, 0.5, (0.3, 0.7))}),
        ("balanced_patches", {AroundForegroundCut(10), UniformCut()}),
    ],
)
def test_each_sampler_draws_every_volume_equally_often(name: str, cuts: set[Any]) -> None:
    sampler = built(name, patches_per_volume=4)
    items = [item for item, _ in drawn(sampler)]
    assert len(items) == len(sampler) == 20
    assert Counter(items) == dict.fromkeys(range(5), 4)
    assert {cut for _, cut in drawn(sampler)} == cuts
    assert drawn(sampler) == drawn(sampler)
    assert drawn(sampler) != drawn(sampler, epoch=1)


def test_a_target_outside_of_what_is_accepted_is_refused() -> None:
    with pytest.raises(RecipeError, match="sampler.params.target: 0.8 is not within"):
        built("foreground_patches", target=0.8)
    with pytest.raises(ValidationError, match="smaller end first"):
        built("foreground_patches", accepted=[0.7, 0.3])


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("flip_volume", {"depth": 1.5}),
        ("rotate90_volume", {"axes": "any"}),
        ("intensity", {"gamma": [0.0, 1.0]}),
        ("intensity", {"gamma": [1.2, 0.8]}),
        ("intensity", {"contrast": 1.5}),
        ("noise_volume", {"std": [-0.1, 0.1]}),
    ],
)
def test_transforms_out_of_range_are_refused(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        transforms.parse({"name": name, "params": params})
