"""Lints of lengths."""

import pytest

from runner.registry import schedules


def recipe(schedule: str, train: str = "epochs: 100") -> str:
    return f"extends: segmentation\nschedule: {schedule}\ntrain: {{{train}}}\n"


def cosine(warmup: str) -> str:
    return f"{{name: cosine, params: {{warmup: {warmup}}}}}"


@pytest.mark.parametrize(
    ("warmup", "train", "is_named"),
    [
        ("{epochs: 50}", "epochs: 100", True),
        ("{epochs: 49}", "epochs: 100", False),
        ("{epochs: 200}", "epochs: 100", True),
        ("{steps: 1000}", "steps: 900", True),
        ("{steps: 1000}", "epochs: 100", False),  # only the data can tell
        ("{fraction: 0.6}", "epochs: 100", True),
        ("null", "epochs: 100", False),
    ],
)
def test_warmup_of_half_the_training_is_named(lints, warmup, train, is_named):
    assert ("long_warmup" in lints(recipe(cosine(warmup), train))) == is_named


def test_every_schedule_with_a_warmup_is_looked_at(lints):
    required = {
        "plateau": "factor: 0.5, patience: 3, ",
        "cosine_warm_restarts": "first: {epochs: 100}, ",
    }
    warm = [name for name in schedules if "warmup" in schedules[name].params.model_fields]
    assert warm
    for name in warm:
        params = f"{{{required.get(name, '')}warmup: {{epochs: 90}}}}"
        said = lints(recipe(f"{{name: {name}, params: {params}}}"))
        assert "the warm-up takes 90% of the training" in said["long_warmup"], name


@pytest.mark.parametrize(
    ("duration", "said"),
    [
        ("{epochs: 40}", "the cosine takes 40% of the training, which goes on at min_lr"),
        ("{epochs: 400}", "takes 400% of the training, which ends before it has come down"),
        ("{epochs: 100}", None),
        ("{steps: 10}", None),
        ("null", None),
    ],
)
def test_cosine_of_another_length_is_named(lints, duration, said):
    found = lints(recipe(f"{{name: cosine, params: {{duration: {duration}}}}}"))
    assert (
        said in found.get("schedule_of_another_length", "")
        if said
        else ("schedule_of_another_length" not in found)
    )


def restarts(first: int, multiplier: float = 2.0) -> str:
    params = f"{{first: {{epochs: {first}}}, multiplier: {multiplier}}}"
    return f"{{name: cosine_warm_restarts, params: {params}}}"


def test_restarts_that_do_not_fill_the_training_are_named(lints):
    assert "schedule_of_another_length" not in lints("uav_fixed")  # 10 and 20 fill 30
    said = lints(recipe(restarts(10)))["schedule_of_another_length"]  # 10, 20, 40, 30 of 80
    assert "ends at 37% of its length" in said
    assert "schedule_of_another_length" not in lints(recipe(restarts(10, 1.0)))


def stopping(patience: int) -> str:
    return f"epochs: 100, evaluate_every: {{epochs: 2}}, early_stopping: {{patience: {patience}}}"


def test_patience_as_long_as_the_training_is_named(lints):
    assert "100% of the training" in lints(recipe(cosine("null"), stopping(50)))["endless_patience"]
    assert "endless_patience" not in lints(recipe(cosine("null"), stopping(49)))
    assert "endless_patience" not in lints("pointer_mse")  # no early stopping


def test_patience_shorter_than_a_restart_is_named(lints):
    said = lints(recipe(restarts(50, 1.0), stopping(24)))["patience_within_a_restart"]
    assert "48% of the training, its longest cosine 50%" in said
    assert "patience_within_a_restart" not in lints(recipe(restarts(50, 1.0), stopping(25)))
    assert "patience_within_a_restart" not in lints(recipe(cosine("null"), stopping(2)))


def test_stop_before_the_rate_falls_is_named(lints):
    plateau = "{name: plateau, params: {factor: 0.5, patience: 10}}"
    said = lints(recipe(plateau, stopping(10)))["stopped_before_the_rate_falls"]
    assert said.startswith("train.early_stopping.patience: ")
    assert "stopped_before_the_rate_falls" not in lints(recipe(plateau, stopping(11)))
    assert "stopped_before_the_rate_falls" not in lints("vesuvius_baseline")
