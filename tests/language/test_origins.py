import json

import pytest

from runner.cli import main
from runner.errors import RecipeError
from runner.explain_text import origin_of
from runner.language.dump import to_yaml
from runner.language.explain import load_at
from runner.language.load import load
from runner.language.origins import origin
from runner.language.overlay import leaves
from runner.language.source import published


def told(name, key, scale=None, sets=()):
    return origin(load_at(name, scale, sets), key)


def test_a_value_has_its_lines_its_reasons_and_its_reader():
    found = told("pointer_fixed", "task.params.loss.params.threshold")
    assert found.value == 0.1
    assert [(each.place.split(":")[0], each.value) for each in found.writings] == [
        ("recipes/pointer_fixed.yaml", 0.1),
        ("recipes/pointer_hinge.yaml", 0.3),
    ]
    assert "It is the opposite" in found.writings[0].because
    assert found.reader == "distance_hinge(threshold)"
    assert found.place.startswith("runner/parts/losses/pointing.py:")


def test_set_and_the_scale_take_the_place_of_what_is_written():
    found = told("uav_fixed", "train.batch_size", "sample", ["train.batch_size=3"])
    assert [each.value for each in found.writings] == [3, 6, 4]
    assert found.writings[0].place == "--set train.batch_size=3"
    found = told("uav_fixed", "train.batch_size", "sample")
    assert (found.writings[0].value, found.writings[0].because) == (8, "the scale sample")
    within = told(
        "uav_fixed", "early_stopping.min_delta", None, ["train.early_stopping={patience: 5}"]
    )
    assert (within.value, within.writings) == (0.0, ())
    within = told(
        "uav_fixed", "train.early_stopping.patience", None, ["train.early_stopping={patience: 5}"]
    )
    assert within.writings[0].place.startswith("--set")


def run_of_uav_fixed(folder, *overrides):
    """What a run leaves of its recipe."""
    folder.mkdir()
    sets = ["train.epochs=3", *overrides]
    (folder / "recipe.yaml").write_text(to_yaml(load("uav_fixed", sets=sets).flat()))
    record = {"recipe": "uav_fixed", "overrides": sets}
    (folder / "run.json").write_text(json.dumps(record))
    return str(folder)


def test_what_a_run_was_begun_with_is_told_with_its_set(tmp_path):
    run = run_of_uav_fixed(tmp_path / "run", "optimizer.params.lr=0.01")
    (writing,) = told(run, "lr").writings
    begun = "--set optimizer.params.lr=0.01 of the run, "
    assert writing.place.startswith(f"{begun}{tmp_path}/run/recipe.yaml:")
    last, earlier = told(run, "lr", sets=["optimizer.params.lr=1"]).writings
    assert (last.place, last.value) == ("--set optimizer.params.lr=1", 1)
    assert (earlier.place, earlier.value) == (writing.place, 0.01)
    assert "--set" not in told(run, "weight_decay").writings[0].place


@pytest.mark.parametrize(
    ("name", "key", "scale", "effect"),
    [
        ("uav_fixed", "optimizer.params.lr", "sample", "train.lr_scale makes 0.003 of it"),
        ("uav_fixed", "min_lr", "sample", "train.lr_scale makes 1e-05 of it"),
        ("s4gan_v3", "start_step", "sample", "the plan of 50000 steps in 500, of which this is 50"),
        ("s4gan_v3", "warmup", "sample", "the plan of 50000 steps in 500, of which this is 10"),
        ("uav_fixed", "first.epochs", "sample", "1500 steps in 250, of which this is 83.3"),
        ("uav_fixed", "train.epochs", "sample", "the plan of 1500 steps in 250"),
        ("uav_fixed", "optimizer.params.lr", None, ""),
        ("uav_fixed", "train.epochs", None, ""),
        ("s4gan_gan", "discriminator_optimizer.params.lr", "sample", ""),
        ("uav_fixed", "log_every", "sample", ""),
    ],
)
def test_what_a_scale_makes_of_a_value_is_told(name, key, scale, effect):
    found = told(name, key, scale)
    assert found.effect.endswith(effect)
    assert bool(found.effect) == bool(effect)
    assert found.effect in " ".join(origin_of(found).split())


def test_a_compressed_plan_of_unknown_length_keeps_the_shares_of_its_horizons():
    found = told("uav_fixed", "first.epochs", sets=["train.compress_to_steps=100"])
    assert (
        found.effect
        == "train.compress_to_steps runs the whole plan in 100 steps: it keeps its share"
    )


def test_what_another_part_was_given_is_no_earlier_value():
    # Both losses have a gamma; that of combined_safety is not balanced_focal's.
    assert len(told("uav_fixed", "gamma").writings) == 1
    assert [each.value["name"] for each in told("uav_fixed", "schedule").writings] == [
        "cosine_warm_restarts",
        "cosine",
    ]


def test_a_default_is_written_nowhere():
    found = told("uav_fixed", "betas")
    assert (found.value, found.writings) == ([0.9, 0.999], ())
    assert "written nowhere: the default of adamw(betas)" in origin_of(found)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("task.params.loss.params.gama", "did you mean 'task.params.loss.params.gamma'?"),
        ("alhpa", "did you mean 'alpha'?"),
        ("params", "names several keys"),
        ("zzz", "runner show uav_fixed --resolved has all"),
        ("", "no value of uav_fixed"),
        ("task..x", "no value of uav_fixed"),
    ],
)
def test_a_key_that_is_not_there_has_its_cure(key, said, capsys):
    assert main(["explain", "uav_fixed", key]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", published())
def test_every_key_of_every_recipe_has_a_reader(name):
    loaded = load_at(name, None)
    for key, value in leaves(loaded.recipe.dump()):
        text = ".".join(map(str, key))
        # The blocks of the scales and what is measured are kept as they are written.
        if key[0] in ("sample", "smoke", "observed", "changes") or "." in "".join(key):
            continue
        found = origin(loaded, text)
        # The base was laid under; its name is the file's alone.
        expected = loaded.source.own.get("extends") if text == "extends" else value
        assert found.value == expected, text
        assert found.reader, text


def test_key_answers_as_one_json_document(capsys):
    assert main(["explain", "uav_fixed", "gamma", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["reader"] == "balanced_focal(gamma)"


def test_several_keys_of_one_end_are_listed():
    with pytest.raises(RecipeError, match="terms.dice.weight, task.params.loss.params.terms.focal"):
        told("vesuvius_corrected", "weight")


def test_base_is_told_with_its_file():
    found = told("uav_fixed", "extends")
    assert found.value == "uav_baseline"
    assert [each.place for each in found.writings] == ["recipes/uav_fixed.yaml"]
    assert told("uav_baseline", "extends").writings == ()
