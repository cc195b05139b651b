import pytest
import torch
from pydantic import ValidationError

from runner.contracts import DataSpec
from runner.errors import RecipeError
from runner.registry import metrics

SPEC = DataSpec(("background", "safe", "danger"))


def part(**params):
    return metrics.parse({"name": "confusion_matrix", "params": params})


def test_rates_are_reported_under_their_name():
    metric = part(rates={"danger_to_safe": ["danger", "safe"]}).build(SPEC)
    found = metric.compute([torch.tensor([[1, 0, 0], [0, 1, 0], [0, 3, 1]])])
    assert found["danger_to_safe"] == 3 / 4


def test_a_rate_of_an_unknown_class_is_refused():
    with pytest.raises(RecipeError, match="did you mean 'danger'") as caught:
        part(rates={"danger_to_safe": ["dagner", "safe"]}).build(SPEC)
    assert caught.value.problems[0].key == "rates.danger_to_safe"


@pytest.mark.parametrize("rates", [{"a": ["danger"]}, {"a": ["danger", "safe", "safe"]}])
def test_a_rate_is_a_pair(rates):
    with pytest.raises(ValidationError):
        part(rates=rates)


@pytest.mark.parametrize("name", ["miou", "iou/safe", "pixel_accuracy", ""])
def test_a_rate_may_not_hide_another_figure(name):
    with pytest.raises((ValidationError, RecipeError)):
        part(rates={name: ["danger", "safe"]}).build(SPEC)


def test_two_metrics_share_no_counts():
    first, second = part().build(SPEC), part().build(SPEC)
    assert first.state() is not second.state()
