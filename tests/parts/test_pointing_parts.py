from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from runner.contracts import DataSpec, History, Progress
from runner.errors import RecipeError
from runner.events import Evaluated
from runner.registry import datasets, health, losses, models, samplers

DATA: dict[str, Any] = {
    "root": "x",
    "format": "csv",
    "images": "i/*.jpg",
    "annotations": "a.csv",
    "splits": {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0},
}


@pytest.mark.parametrize(
    "changed",
    [
        {"format": "fsc"},
        {"order": "columns"},
        {"canvas": [384]},
        {"row_px": 0.0},
        {"mark_radius_px": 0},
        {"mark_color": [0, 0, 256]},
        {"flip": 1.5},
        {"validation_draws": 0},
        {"validation_done_share": -0.1},
        {"splits": {"lists": {"train": "a.json", "val": "b.txt"}}},
        {"splits": {"lists": {"train": "a"}}},
        {"splits": {"fractions": {"train": 0.5, "val": 0.4}, "seed": 0}},
    ],
)
def test_values_out_of_range_are_refused(changed):
    with pytest.raises(ValidationError):
        datasets.parse({"name": "points", "params": {**DATA, **changed}})


def test_a_part_is_parsed_dumped_and_parsed_again():
    dumped = datasets.parse({"name": "points", "params": DATA}).dump()
    assert datasets.parse(dumped).dump() == dumped


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("mse", {"threshold": 0.3}),
        ("distance_hinge", {"threshold": 0.0}),
        ("huber_distance", {"threshold": 5.0}),
    ],
)
def test_losses_out_of_range_are_refused(name, params):
    with pytest.raises(ValidationError):
        losses.parse({"name": name, "params": params})


def test_a_share_that_no_mode_reads_is_refused_with_the_wrong_data():
    part = samplers.parse(
        {"name": "sequential_points", "params": {"done_mode": "mixed", "done_share": 0.5}}
    )
    with pytest.raises(RecipeError) as raised:
        part.build([], 2)
    keys = [problem.key for problem in raised.value.problems]
    assert keys == ["sampler.params.done_share", "sampler.name"]


def test_the_model_part_builds_its_net():
    params = {"backbone": "test_resnet", "stride": 4, "norm": "group", "head": "regression"}
    assert models.parse({"name": "pointer", "params": params}).build(DataSpec(("object",)))


def history(*values: dict[str, float], fraction: float = 1.0, monitor="val/loss", mode="min"):
    steps = len(values)
    return History(
        progress=Progress(step=steps, epoch=steps, fraction=fraction),
        stepped=[],
        evaluated=[Evaluated(step=n + 1, epoch=n + 1, values=v) for n, v in enumerate(values)],
        monitor=monitor,
        mode=mode,
        classes=("object",),
    )


def said(name: str, params: dict[str, Any], past: History) -> list[tuple[str, str]]:
    rule = health.parse({"name": name, "params": params}).build()
    return [(finding.level, finding.subject) for finding in rule(past)]


def test_a_done_signal_that_is_never_given_is_critical():
    largest = "val/done/largest"
    low, high = {largest: 0.19}, {largest: 0.9, "val/done/recall": 0.8}
    assert said("done_collapse", {"grace": 0.1}, history(low)) == [("critical", largest)]
    assert said("done_collapse", {"grace": 0.1}, history(low, fraction=0.05)) == []
    assert said("done_collapse", {}, history(low, high)) == [("good", largest)]


def test_phases_are_met_or_missed_by_share_of_the_training():
    metric = "val/error_px/median"
    params = {"metric": metric, "below": [[0.1, 150.0], [0.8, 40.0]]}

    def now(value: float, fraction: float) -> list[tuple[str, str]]:
        return said("phases", params, history({metric: value}, fraction=fraction))

    assert now(200.0, 0.05) == []
    assert now(200.0, 0.5) == [("warning", metric)]
    assert now(80.0, 0.5) == [("good", metric)]
    assert now(80.0, 0.9) == [("warning", metric)]


@pytest.mark.parametrize("below", [[[0.5, 10.0], [0.4, 5.0]], [[0.1, 10.0], [0.4, 15.0]]])
def test_phases_that_do_not_follow_each_other_are_refused(below):
    with pytest.raises(RecipeError, match="must rise"):
        health.parse({"name": "phases", "params": {"metric": "a", "below": below}}).build()


def test_a_best_that_is_long_past_is_told():
    losses_ = [0.9, 0.6, 0.7, 0.9, 1.2, 1.5]
    values = [{"val/loss": value} for value in losses_]
    assert said("best_long_past", {"window": 0.2}, history(*values)) == [("warning", "val/loss")]
    assert said("best_long_past", {"window": 0.8}, history(*values)) == []
    assert said("best_long_past", {"window": 0.2}, history(*values[:2])) == []
    same = [{"val/loss": 1.0}] * 6
    assert said("best_long_past", {"window": 0.2}, history(*same)) == []
