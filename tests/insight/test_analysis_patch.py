"""The draft that follows from an analysis loads, and says only what differs."""

from pathlib import Path

import pytest

from runner.errors import RecipeError
from runner.insight.analysis import analyze
from runner.insight.analysis_patch import (
    changes_for,
    draft,
    remarks_for,
    require_place,
    weightless,
)
from runner.insight.analysis_remarks import IMBALANCE_CURE
from runner.language.lints.table import concerns
from runner.language.load import load, load_written
from runner.language.machine import Machine
from runner.statistics import Remark, Statistics


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    return Machine(cache=str(tmp_path_factory.mktemp("cache")), workers=0)


def statistics(**given):
    base = {
        "dataset": "x", "root": "x", "fingerprint": "x", "items": {"train": 1}, "unit": "pixels",
        "classes": {},
    }  # fmt: skip
    return Statistics(**{**base, **given})


def imbalanced():
    return statistics(
        classes={"a": 1.0, "b": 200.0, "c": 100.0, "d": 99.0},
        weights={"a": 100.0, "b": 0.5, "c": 1.0, "d": 1.01},
    )


def by_key(changes):
    return {".".join(change.key): change.value for change in changes}


@pytest.mark.parametrize(
    "recipe", ["uav_baseline", "uav_fixed", "vesuvius_baseline", "pointer_mse", "yolov8_original"]
)
def test_draft_of_a_sample_validates(recipe, machine, tmp_path):
    loaded = load(recipe)
    found = analyze(loaded, machine).statistics
    file = tmp_path / "mine.yaml"
    file.write_text(draft(loaded, changes_for(loaded, found), None))
    assert load_written(str(file)).recipe.dump()["data"]["name"] == found.dataset


def test_draft_cures_what_was_found(machine, tmp_path):
    for recipe in ("vesuvius_baseline", "pointer_mse"):
        loaded = load(recipe)
        before = analyze(loaded, machine).statistics
        file = tmp_path / f"{recipe}_mine.yaml"
        file.write_text(draft(loaded, changes_for(loaded, before), None))
        after = load(str(file), sets=["data.params.root=sample:" + loaded.recipe.scenario])
        found = analyze(after, machine).statistics
        assert [remark for remark in before.remarks if remark.level == "warning"]
        assert not [remark for remark in found.remarks if remark.level == "warning"]
        assert changes_for(after, found) == []


def test_loss_with_a_limit_gets_the_formulas_weights_and_a_limit():
    assert by_key(changes_for(load("uav_fixed"), imbalanced())) == {
        "task.params.loss.params.alpha": [100.0, 0.5, 1.0, 1.01],
        "task.params.loss.params.max_alpha": 10.0,
        "sampler": {
            "name": "rare_class_crops",
            "params": {"classes": ["a"], "probability": 0.5, "crops_per_image": 6},
        },
    }


def test_loss_without_a_limit_gets_limited_weights():
    changes = by_key(changes_for(load("segmentation"), imbalanced()))
    key = "task.params.loss.params.terms.cross_entropy.loss.params.weights"
    assert changes[key] == [10.0, 0.5, 1.0, 1.01]


def test_weights_that_follow_the_data_are_left_alone():
    # It takes its weights from the data and draws crops of its own choice.
    assert changes_for(load("uav_corrected"), imbalanced()) == []
    balanced = statistics(classes={"a": 1.0, "b": 2.0}, weights={"a": 1.5, "b": 0.75})
    assert changes_for(load("uav_fixed"), balanced) == []


def test_patch_larger_than_the_volumes_is_cut():
    figures = {f"image_{axis}_voxels/median": edge for axis, edge in zip(
        ("depth", "height", "width"), (36.0, 50.0, 35.0), strict=True)}  # fmt: skip
    found = statistics(unit="voxels", figures=figures)
    own = load("volume", data=".")
    assert by_key(changes_for(own, found)) == {"data.params.patch": [32, 48, 32]}


def test_small_boxes_ask_for_a_larger_size():
    found = statistics(unit="boxes", figures={"box_side_at_size_px/median": 8.0})
    own = load("detection", data=".")
    assert by_key(changes_for(own, found)) == {"data.params.size": [1280, 1280]}


def test_root_of_other_data_goes_into_the_draft(tmp_path):
    loaded = load("uav_fixed", data=str(tmp_path))
    file = tmp_path / "mine.yaml"
    file.write_text(draft(loaded, [], str(tmp_path)))
    assert load_written(str(file)).recipe.root == str(tmp_path)
    assert "Nothing: the recipe suits them" in file.read_text()


def test_draft_is_refused_where_it_could_not_extend_its_recipe(tmp_path):
    (tmp_path / "own.yaml").write_text("extends: uav_fixed\n")
    own = load(str(tmp_path / "own.yaml"))
    require_place(own, tmp_path / "next.yaml")
    for file, message in {
        tmp_path / "next.txt": "ends in .yaml",
        tmp_path / "own.yaml": "exists already",
        tmp_path / "elsewhere" / "next.yaml": f"write it into {tmp_path}",
    }.items():
        with pytest.raises(RecipeError, match=message):
            require_place(own, Path(file))


def warned_of(found):
    message = f"considerable, 200:1; {IMBALANCE_CURE}"
    remark = Remark(kind="imbalance", level="warning", message=message)
    return found.model_copy(update={"remarks": [remark]})


def test_imbalance_that_a_recipe_handles_is_a_note_that_names_the_key():
    [cured] = remarks_for(load("uav_corrected"), warned_of(imbalanced()))
    assert cured.level == "note"
    assert "handles it already" in cured.message and "weight the loss" not in cured.message
    [open_still] = remarks_for(load("uav_fixed"), warned_of(imbalanced()))
    assert open_still.level == "warning" and open_still.message.endswith(IMBALANCE_CURE)


@pytest.mark.parametrize("sampler", ["balanced_patches", "foreground_patches"])
def test_foreground_that_the_sampler_seeks_gets_no_weights_as_validate_has_it(sampler):
    rare = statistics(
        unit="voxels",
        classes={"background": 18.0, "surface": 1.0},
        weights={"background": 0.5276, "surface": 9.552},
    )
    loaded = load("volume", sets=[f"sampler={{name: {sampler}}}"], data=".")
    assert changes_for(loaded, rare) == []
    [remark] = remarks_for(loaded, warned_of(rare))
    assert remark.level == "note" and "sampler handles it already" in remark.message
    assert not [each for each in concerns(loaded, rare) if each.lint == "unhandled_imbalance"]
    random = load("volume", sets=["sampler={name: random_patches}"], data=".")
    assert len(changes_for(random, rare)) == 1
    assert [each for each in concerns(random, rare) if each.lint == "unhandled_imbalance"]


def test_weights_from_data_handle_nothing_while_a_class_is_absent():
    lacking = statistics(classes={"a": 1.0, "b": 200.0, "c": 0.0, "d": 99.0})
    loaded = load("uav_fixed", sets=["task.params.loss.params.alpha=from_data"])
    [remark] = remarks_for(loaded, warned_of(lacking))
    assert remark.level == "warning"


def test_class_that_does_not_occur_is_why_no_weights_follow():
    said = weightless(statistics(classes={"a": 1.0, "b": 0.0}))
    assert "no class weights follow: b has no pixels" in said and "leave it out" in said
    assert weightless(imbalanced()) == ""


def test_weights_of_another_number_of_classes_are_a_warning():
    two = statistics(classes={"a": 1.0, "b": 2.0}, weights={"a": 1.5, "b": 0.75})
    [remark] = remarks_for(load("uav_fixed"), two)
    assert remark.level == "warning"
    assert "alpha: 4 weights, but the data have 2 classes (a, b)" in remark.message
    assert remarks_for(load("uav_corrected"), two) == []


def test_loss_that_takes_no_class_weights_is_not_advised_to():
    [remark] = remarks_for(load("detection", data="."), warned_of(imbalanced()))
    assert remark.level == "warning" and "weight the loss" not in remark.message
    assert "no loss of the recipe takes a weight for each class" in remark.message
    [takes] = remarks_for(load("segmentation"), warned_of(imbalanced()))
    assert takes.message.endswith(IMBALANCE_CURE)
