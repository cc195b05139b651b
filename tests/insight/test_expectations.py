"""What a recipe expects is held against what its run showed, at the run's scale alone."""

import pytest

from runner.insight.expectations import check_expectations
from runner.language.recipe import Expectation

END, BEST = {"val/a": 0.4}, {"val/a": 0.6}


def met(scale: str = "sample", **values: object) -> list[bool]:
    expectation = Expectation.model_validate({"metric": "val/a", "scale": "sample", **values})
    return [row["met"] for row in check_expectations([expectation], scale, end=END, best=BEST)]


@pytest.mark.parametrize(
    ("values", "is_met"),
    [
        ({"min": 0.4}, True),
        ({"min": 0.41}, False),
        ({"max": 0.4}, True),
        ({"max": 0.39}, False),
        ({"min": 0.3, "max": 0.5}, True),
        ({"at": "best", "min": 0.5}, True),
        ({"metric": "val/never", "min": 0.0}, False),
    ],
)
def test_bounds_are_inclusive_and_a_missing_metric_is_unmet(values, is_met):
    assert met(**values) == [is_met]


def test_expectation_of_another_scale_is_not_asked():
    assert met("full", min=0.9) == []
