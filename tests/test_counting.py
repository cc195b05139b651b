"""A number and its noun agree, wherever one is told."""

import pytest

from runner.counting import number_of
from runner.language.effect import effect_on
from runner.language.explain import load_at
from runner.language.facts import facts


@pytest.mark.parametrize(
    ("number", "things", "said"),
    [
        (1, "entries", "1 entry"),
        (2, "entries", "2 entries"),
        (0, "boxes", "0 boxes"),
        (1, "boxes", "1 box"),
        (1, "classes", "1 class"),
        (1.0, "epochs", "1 epoch"),
        (1.5, "epochs", "1.5 epochs"),
        (1, "more values", "1 more value"),
    ],
)
def test_one_thing_is_told_in_the_singular(number, things, said):
    assert number_of(number, things, "g") == said


def test_a_figure_may_be_written_in_thousands():
    assert number_of(12345, "pixels", ",") == "12,345 pixels"


def test_recipe_of_one_epoch_has_one_epoch():
    sets = [
        "train.epochs=1", "train.early_stopping={patience: 1}",
        "schedule={name: cosine, params: {warmup: {epochs: 0.5}}}",
    ]  # fmt: skip
    told = {each.name: each.value for each in facts(load_at("uav_fixed", None, sets).recipe)}
    assert (told["length"], told["patience"]) == ("1 epoch", "1 epoch")
    assert told["warm-up"].startswith("0.5 epochs")
    compressed = load_at("uav_fixed", None, [*sets, "train.compress_to_steps=1"]).recipe
    assert "in 1 step:" in effect_on(compressed, ("train", "epochs"), 1, None)
