import math

import pytest

from runner.engine.history import is_better, mean_rows, without_improvement


def test_what_is_not_finite_never_improves() -> None:
    assert not is_better(math.nan, None, "max")
    assert not is_better(math.inf, 1.0, "max")
    assert not is_better(-math.inf, 1.0, "min")
    assert is_better(0.0, None, "max")


def test_an_improvement_exceeds_its_threshold() -> None:
    assert not is_better(1.1, 1.0, "max", 0.2)
    assert is_better(1.3, 1.0, "max", 0.2)
    assert not is_better(0.9, 1.0, "min", 0.2)
    assert is_better(0.7, 1.0, "min", 0.2)


@pytest.mark.parametrize(
    ("values", "since"),
    [([], 0), ([1.0], 0), ([1.0, 1.0], 1), ([1.0, 0.5, 2.0], 0), ([1.0, math.nan, 0.9], 2)],
)
def test_evaluations_are_counted_since_the_last_improvement(values, since) -> None:
    assert without_improvement(values, "max", 0.0) == since


def test_small_steps_add_up_to_an_improvement() -> None:
    assert without_improvement([1.0, 1.4, 1.8], "max", 0.5) == 0
    assert without_improvement([1.0, 1.4, 1.4], "max", 0.5) == 2


def test_steps_that_were_not_applied_are_left_out_of_the_mean() -> None:
    rows = [
        {"loss": 1.0, "skipped": 0.0},
        {"loss": math.nan, "skipped": 1.0},
        {"loss": 3.0, "loss/late": 3.0, "skipped": 0.0},
    ]
    assert mean_rows(rows) == {"loss": 2.0, "loss/late": 1.5}
    assert math.isnan(mean_rows(rows[1:2])["loss"])


def test_a_figure_that_a_step_could_not_know_does_not_count() -> None:
    rows = [{"precision": value, "skipped": 0.0} for value in (0.5, math.nan, 1.0)]
    assert mean_rows(rows) == {"precision": 0.75}
    assert math.isnan(mean_rows(rows[1:2])["precision"])
