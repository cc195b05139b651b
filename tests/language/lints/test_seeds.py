"""What the seeds got wrong, and which lint or fact says so of the recipe that encodes it."""

import re
from pathlib import Path

import pytest

from runner.language.facts import facts
from runner.language.known import statistics_at_hand
from runner.language.lints.table import concerns
from runner.language.load import load_written

README = (Path(__file__).parents[3] / "README.md").read_text()

CLAIMS = {
    ("uav_baseline", "unhandled_imbalance"): "229:1, which the loss makes 459:1",
    ("uav_baseline", "inverted_class_weights"): "their weights are 1 and 2",
    ("uav_fixed", "negligible_batch_change"): "from 16 to 18 (+12%)",
    ("uav_fixed", "extreme_class_weights"): "background wins where it is 0.0044 times",
    ("uav_fixed", "validation_at_another_scale"): "whole images squashed",
    ("vesuvius_baseline", "merged_ignore"): "6.3% of the voxels become 59.3%",
    ("vesuvius_fixed", "overshot_class_weights"): "weighs 3.7 times the second, where 1.5 times",
    ("vesuvius_fixed", "weight of background in the term focal"): "71.9 %",
    ("vesuvius_fixed", "constant_alpha"): "it would weigh 7.2 to 1",
    ("vesuvius_fixed", "incomparable_monitor"): "val/loss is of another loss",
    ("pointer_hinge", "discontinuous_loss"): "(57.6 px) the loss jumps from 0.09 to 0.18",
    ("pointer_fixed", "discontinuous_loss"): "gradient falls from 0.2 to 0.1",
    ("pointer_hinge", "loss at 57 px of 384"): "gradient 0.594",
    ("pointer_fixed", "loss at 57 px of 384"): "gradient 0.1",
    ("pointer_hinge", "rarely_done"): "about 4.5% of the draws are done",
    ("pointer_mse", "point_trained_when_done"): "the middle is the target",
    ("yolov8_fixed", "score_threshold_for_map"): "below 0.25 do not count",
    ("yolov8_original", "no_negatives"): "only predictions that match an object",
    ("yolov8_original", "no_suppression"): "may box the same object",
    ("yolov8_fixed", "hard_clamp"): "beyond an exponent of 4, 54.6 strides, the gradient is",
    ("yolov8_original", "biased_centre"): "0.5 to 1.5 cells",
    ("yolov8_original", "learning rate at 0%"): "0.0002",
    ("s4gan_v3", "zero_threshold"): "every prediction of background is believed",
    ("s4gan_v3", "own_labels_of_the_same_view"): "label the view that they are trained on",
    ("s4gan_v3", "allowed_leak"): "shared_source and validation_unlabelled",
    ("s4gan_v3", "learning rate at 25%"): "0.000218",
}
"""Recipe and the lint or fact that judges it, with the figure that refutes the seed."""


def said(recipe: str, name: str) -> str:
    """What ``validate`` or ``explain`` tells of a recipe under a name."""
    loaded = load_written(recipe)
    statistics = statistics_at_hand(loaded)
    told = {each.lint: each.message for each in concerns(loaded, statistics)}
    told |= {each.name: each.value for each in facts(loaded.recipe, statistics)}
    return told[name]


@pytest.mark.parametrize(("recipe", "name"), CLAIMS)
def test_what_a_seed_got_wrong_is_told_of_its_recipe(recipe, name):
    assert CLAIMS[recipe, name] in said(recipe, name)


def test_readme_names_for_each_mistake_who_tells_of_it():
    table = README.split("| the seed said |", 1)[1].split("\n\n", 1)[0]
    named = {
        (recipe, name)
        for recipes, name in re.findall(r"\| ((?:`\w+`(?:, )?)+): `([^`]+)` \|", table)
        for recipe in re.findall(r"\w+", recipes)
    }
    assert named == set(CLAIMS)


@pytest.mark.parametrize(
    "name",
    [
        "uav_corrected",
        "vesuvius_corrected",
        "yolov8_corrected",
        "s4gan_corrected",
        "volume",
        "points",
        "detection",
    ],
)
def test_corrected_recipes_and_starters_give_lints_nothing_to_say(name):
    loaded = load_written(name)
    assert concerns(loaded, statistics_at_hand(loaded)) == []
