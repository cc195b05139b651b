"""What no training could be built of is refused by ``validate``, at its line and once."""

from pathlib import Path

import pytest
from pydantic_core import PydanticCustomError

from runner.by_class import named_once
from runner.cli import main
from runner.language.load import load

OWN = """\
extends: segmentation
data:
  params:
    root: photos
    images: images/*.png
    masks: masks/{{stem}}.png
    classes: {classes}
"""
TERMS = "task: {{params: {{loss: {{name: weighted_sum, params: {{terms: {{{}}}}}}}}}}}\n"


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Return what ``validate`` says of a draft, a problem a line."""
    monkeypatch.chdir(tmp_path)

    def of(text: str) -> list[str]:
        Path("own.yaml").write_text(text)
        code = main(["validate", "own.yaml"])
        lines = capsys.readouterr().err.removeprefix("error:").strip().splitlines()
        assert code in (0, 2)
        return lines if code else []

    return of


@pytest.mark.parametrize(
    ("classes", "wrong"),
    [
        ("[]", "names no class; name at least one"),
        ("[a, b, a]", "'a' stands twice; name each class once"),
        ("{a: [0], b: [0, 1]}", "0 stands twice, in a and b; keep it in one class, once"),
        ("{a: [3, 3], b: [1]}", "3 stands twice, in a; keep it in one class, once"),
        (f"[{', '.join(f'c{n}' for n in range(256))}]", "names 256 classes; a mask tells 255"),
    ],
)
def test_classes_that_no_mask_could_hold_are_named_and_nothing_that_follows_is(
    classes, wrong, said
):
    [line] = said(OWN.format(classes=classes))
    assert line.startswith(f"own.yaml:7: data.params.classes: {wrong}")


@pytest.mark.parametrize("classes", [{}, {"ignore": [255]}])
def test_mapping_without_a_class_is_refused(classes):
    with pytest.raises(PydanticCustomError, match="name at least one"):
        named_once(classes)


def test_boxes_of_two_classes_of_one_name_are_refused(said):
    [line] = said(
        "extends: detection\ndata: {params: {root: x, images: '*.jpg', annotations: '{stem}.txt', "
        "classes: [a, a]}}\n"
    )
    assert line.startswith("own.yaml:2: data.params.classes: 'a' stands twice")


def test_classes_of_other_masks_that_the_base_has_not_are_all_there_are(said):
    assert said(OWN.format(classes="{ground: [0], object: [255]}")) == []
    assert list(load("own.yaml").recipe.data.params.classes) == ["ground", "object"]
    one = load("own.yaml", sets=["data.params.classes.object=[7]"]).recipe.data.params.classes
    assert one == {"ground": [0], "object": [7]}
    more = load("own.yaml", sets=["data.params.classes.sky=[9]"]).recipe.data.params.classes
    assert list(more) == ["ground", "object", "sky"]
    assert said(OWN.format(classes="{safe: [1], ignore: [2, 3, 4]}")) == []
    changed = load("own.yaml").recipe.data.params.classes
    assert (changed["safe"], len(changed)) == ([1], 5)
    assert said("extends: segmentation\ndata: {params: {classes: {tree: [99]}}}\n") == []
    assert len(load("own.yaml").recipe.data.params.classes) == 5


@pytest.mark.parametrize(
    ("terms", "wrong"),
    [
        ("cross_entropy: {weight: 0}, dice: {weight: 0}", "every weight is 0"),
        ("cross_entropy: null, dice: null", "every term is null"),
    ],
)
def test_sum_without_a_term_that_weighs_anything_is_refused(terms, wrong, said):
    [line] = said("extends: segmentation\n" + TERMS.format(terms))
    assert line.startswith("own.yaml:2: task.params.loss.params.terms: " + wrong)


def test_sum_of_which_one_term_weighs_something_is_fine(said):
    terms = TERMS.format("cross_entropy: {weight: 0}, dice: {weight: 1}")
    assert said("extends: segmentation\n" + terms) == []


def test_expectation_that_nothing_can_meet_is_refused(said):
    expect = "expect: [{{metric: val/miou, min: {}, max: {}}}]\n"
    assert said("extends: segmentation\n" + expect.format(0.5, 0.5)) == []
    [line] = said("extends: segmentation\n" + expect.format(0.9, 0.1))
    assert line == ("own.yaml:2: expect.0: min 0.9 is above max 0.1: no figure is both; swap them")


@pytest.mark.parametrize("key", ["steps", "epochs", "compress_to_steps"])
def test_training_of_more_steps_than_anybody_means_is_refused(key, said):
    [line] = said(f"extends: segmentation\ntrain: {{{key}: 99999999999999999999999999}}\n")
    assert line.startswith(f"own.yaml:2: train.{key}: should be 1000000000 or less, not 9999")


def test_two_lengths_are_told_once(said):
    # The sample's overlay writes another key of the block, and moves its place to the base.
    both = "extends: segmentation\ntrain: {steps: 2, epochs: 3}\n"
    assert said(both) == ["own.yaml:2: train: write either epochs or steps"]


def test_character_that_is_none_of_yaml_is_named_in_one_line(said):
    assert said('extends: segmentation\n# ünï\nsummary: "a\0b"\n') == [
        "own.yaml:3: not YAML: holds the character U+0000; take it out"
    ]
