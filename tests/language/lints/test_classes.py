"""Lints of rare classes and of their weights."""

import json
from pathlib import Path

import pytest

from runner.language.plugins import load_plugins

CLASSES = "data: {params: {root: here, classes: [ground, object]}}\n"


def measured(**counts: float) -> None:
    """What analyze would have left of a folder of masks with these pixels."""
    folder = Path("runs/analysis/mine")
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(counts.values())
    known = {
        "schema": 1, "dataset": "segmentation_folder", "root": "here", "fingerprint": "x",
        "items": {"train": 2}, "unit": "pixels", "classes": counts,
        "weights": {name: total / (len(counts) * count) for name, count in counts.items()},
    }  # fmt: skip
    (folder / "analysis.json").write_text(json.dumps(known))


def focal(alpha: str, more: str = "") -> str:
    loss = f"loss: {{name: balanced_focal, params: {{alpha: {alpha}{more}}}}}"
    return f"extends: segmentation\n{CLASSES}task: {{params: {{{loss}}}}}\n"


PLAIN = f"extends: segmentation\n{CLASSES}"


def test_imbalance_is_told_with_shares_and_what_the_loss_makes_of_it(lints):
    said = lints("uav_baseline")["unhandled_imbalance"]
    assert said.startswith("task.params.loss: background has 0.28% of the pixels, safe 63.2%")
    assert "229:1, which the loss makes 459:1" in said


@pytest.mark.parametrize("name", ["uav_fixed", "uav_corrected", "volume", "detection"])
def test_imbalance_that_is_handled_or_slight_is_left_alone(lints, name):
    assert "unhandled_imbalance" not in lints(name)


def test_imbalance_is_named_from_above_ten_to_one(lints):
    assert "unhandled_imbalance" not in lints(PLAIN), "nothing was measured"
    measured(ground=10.0, object=1.0)
    assert "unhandled_imbalance" not in lints(PLAIN)
    measured(ground=10.1, object=1.0)
    assert "10:1" in lints(PLAIN)["unhandled_imbalance"]


def test_sampler_that_seeks_the_class_handles_it(lints):
    measured(ground=99.0, object=1.0)
    seeks = "sampler: {name: rare_class_crops, params: {classes: [object], probability: %s}}\n"
    assert "unhandled_imbalance" not in lints(PLAIN + seeks % "0.5")
    assert "unhandled_imbalance" in lints(PLAIN + seeks % "0.0")
    assert "unhandled_imbalance" in lints(PLAIN + (seeks % "0.5").replace("object", "ground"))


def test_weights_capped_too_low_do_not_handle_it(lints):
    measured(ground=990.0, object=1.0)
    assert "unhandled_imbalance" not in lints(focal("from_data"))
    assert "unhandled_imbalance" in lints(focal("from_data", ", max_alpha: 2.0"))


@pytest.mark.usefixtures("plugins_forgotten")
def test_of_an_own_loss_nothing_is_claimed(lints):
    file = Path("own.py")
    file.write_text(
        "from runner.registry import losses\n@losses.register\n"
        'def own_loss(spec, /):\n    """Balance its classes somehow."""\n'
    )
    load_plugins([file])
    measured(ground=99.0, object=1.0)
    own = PLAIN + "task: {params: {loss: {name: own_loss}}}\n"
    assert "unhandled_imbalance" not in lints(own)


def test_extreme_weights_are_told_by_the_names_that_the_recipe_writes(lints):
    said = lints(focal("[1.0, 1000.0]"))["extreme_class_weights"]
    assert "object wins where it is 0.001 times as likely as ground" in said


def test_figures_of_other_classes_are_not_used(lints):
    measured(ground=99.0, water=1.0)
    assert "unhandled_imbalance" not in lints(PLAIN)
    measured(ground=99.0, object=1.0)
    assert "unhandled_imbalance" in lints(PLAIN)


def test_rarest_class_that_weighs_least_is_named(lints):
    assert "their weights are 1 and 2" in lints("uav_baseline")["inverted_class_weights"]
    assert "inverted_class_weights" not in lints("uav_fixed")
    measured(ground=3.0, object=1.0)
    assert "inverted_class_weights" in lints(focal("[1.0, 0.9]"))
    assert "inverted_class_weights" not in lints(focal("[1.0, 1.0]"))
    measured(ground=1.9, object=1.0)
    assert "inverted_class_weights" not in lints(focal("[1.0, 0.9]"))


def test_odds_in_place_of_inverse_frequencies_are_told_with_what_would_balance(lints):
    said = lints("vesuvius_fixed")["overshot_class_weights"]
    assert "surface 59.3%; the first weighs 3.7 times the second" in said
    assert said.endswith("where 1.5 times would balance them")
    assert "overshot_class_weights" not in lints("vesuvius_as_run")


def test_formula_of_the_seed_balances_and_a_little_more_is_let_pass(lints):
    assert "overshot_class_weights" not in lints("uav_fixed")
    measured(ground=3.0, object=1.0)
    assert "overshot_class_weights" not in lints(focal("[1.0, 4.5]"))
    assert "overshot_class_weights" in lints(focal("[1.0, 4.6]"))


def test_weights_more_than_a_hundredfold_are_told_as_odds(lints):
    assert (
        "background wins where it is 0.0044 times as likely as safe"
        in (lints("uav_fixed")["extreme_class_weights"])
    )
    assert "extreme_class_weights" not in lints("uav_corrected")
    assert "extreme_class_weights" not in lints(focal("[1.0, 100.0]"))
    assert (
        "object wins where it is 0.0099 times"
        in (lints(focal("[1.0, 101.0]"))["extreme_class_weights"])
    )
    assert "extreme_class_weights" not in lints(focal("[0.0, 0.0]"))


def binary(**params: object) -> str:
    written = ", ".join(f"{name}: {value}" for name, value in params.items())
    loss = f"loss: {{name: binary_focal, params: {{{written}}}}}"
    return f"extends: volume\ntask: {{params: {{{loss}}}}}\n"


def test_alpha_and_class_weights_that_push_one_class_are_multiplied(lints):
    both = {"alpha": 0.34, "background_weight": 1.94, "foreground_weight": 0.52}
    said = lints(binary(**both, alpha_mode="balanced"))["double_correction"]
    assert "1.9 times the foreground, the class weights 3.7 times: together 7.2" in said
    assert "double_correction" not in lints(binary(**both, alpha_mode="constant"))
    assert "double_correction" not in lints(binary(**{**both, "alpha": 0.66}))
    assert "double_correction" not in lints(binary(alpha=0.34))
    assert "double_correction" not in lints("vesuvius_corrected")


def test_alpha_of_both_classes_is_told_to_favour_none(lints):
    said = lints("vesuvius_fixed")["constant_alpha"]
    assert "0.34 multiplies background and foreground alike; balanced, beside the class" in said
    assert said.endswith("it would weigh 7.2 to 1")
    assert lints("vesuvius_baseline")["constant_alpha"].endswith("alike")
    assert "constant_alpha" not in lints("vesuvius_corrected")


def test_foreground_without_weight_is_no_fault_of_a_lint(lints):
    said = lints(binary(alpha=0.5, background_weight=1.0, foreground_weight=0.0))
    assert "double_correction" not in said
    assert "inverted_class_weights" not in said


def test_classes_with_one_called_ignore_are_measured_ones_all_the_same(lints):
    text = "extends: uav_baseline\ndata: {params: {classes: {ignore: [24]}}}\n"
    assert "unhandled_imbalance" in lints(text)
