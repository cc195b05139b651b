"""A draft, or a run with ``--set``, becomes a published child whose reasons are to be filled in."""

import json
import re
from pathlib import Path

import pytest

from runner.cli import main
from runner.commands import promote as command
from runner.language import promote, source
from runner.language.differences import differences
from runner.language.load import load_written

DRAFT = """\
extends: uav_fixed
train: {steps: 4000, batch_size: 4}
optimizer: {name: sgd, params: {lr: 0.01}}
task: {params: {loss: {params: {gamma: 1.0}}, model: {params: {encoder: resnet18}}}}
health: {dead_class: null}
"""


@pytest.fixture
def folder(recipes, monkeypatch):
    monkeypatch.setattr(command, "published_folder", source.published_folder)
    assert main(["validate", "--write-lock"]) == 0
    return recipes


def publish(text: str, capsys, *, code: int = 0) -> str:
    Path("mine.yaml").write_text(text)
    capsys.readouterr()
    assert main(["promote", "mine.yaml", "--name", "uav_night"]) == code
    return capsys.readouterr().err


def fill_in(file: Path) -> None:
    file.write_text(re.sub(r"'?FILL IN: [^'\n]*'?", "I measured it", file.read_text()))


def assert_means_the_same(one: str, other: str) -> None:
    assert differences(load_written(one).recipe, load_written(other).recipe) == []


@pytest.mark.usefixtures("folder")
def test_child_means_what_the_draft_means_and_says_only_what_differs(capsys):
    publish(DRAFT, capsys)
    assert_means_the_same("mine.yaml", "uav_night")
    own = load_written("uav_night").source.own
    assert own["train"] == {"steps": 4000, "batch_size": 4}
    assert own["optimizer"] == {"name": "sgd", "params": {"lr": 0.01}}
    assert own.keys() & {"data", "sampler", "schedule", "metrics"} == set()


@pytest.mark.usefixtures("folder")
def test_groups_are_the_nearest_sections_and_cover_all(capsys):
    publish(DRAFT, capsys)
    changes = load_written("uav_night").recipe.changes
    assert [change.keys for change in changes] == [
        ["task.params.model.params.encoder"],
        ["task.params.loss.params.gamma"],
        ["optimizer"],
        ["train.epochs", "train.steps", "train.batch_size"],
        ["health.dead_class"],
    ]


def test_it_validates_once_the_reasons_are_filled_in(folder, capsys):
    publish(DRAFT, capsys)
    assert main(["validate", "uav_night"]) == 2
    err = capsys.readouterr().err
    assert "changes.4.because: is still to be filled in" in err
    assert "summary: is still to be filled in" in err
    fill_in(folder / "uav_night.yaml")
    assert main(["validate", "--write-lock"]) == 0
    assert main(["validate"]) == 0


@pytest.mark.usefixtures("folder")
def test_what_the_draft_says_already_is_kept(capsys):
    said = (
        "summary: At night.\nallow: {a-lint: meant}\n"
        "changes: [{keys: [optimizer], because: it converged, expected: {val/miou: 0.7}}]\n"
    )
    publish(DRAFT + said, capsys)
    recipe = load_written("uav_night").recipe
    assert recipe.summary == "At night."
    assert recipe.allow == {"a-lint": "meant"}
    assert (recipe.changes[0].because, recipe.changes[0].expected) == (
        "it converged", {"val/miou": 0.7},
    )  # fmt: skip
    assert len(recipe.changes) == 5


@pytest.mark.usefixtures("folder")
def test_drafts_between_are_folded_in(capsys):
    Path("between.yaml").write_text("extends: uav_fixed\ntrain: {epochs: 7}\n")
    publish("extends: between.yaml\ntrain: {batch_size: 3}\n", capsys)
    assert_means_the_same("mine.yaml", "uav_night")
    assert load_written("uav_night").extends == "uav_fixed"
    assert load_written("uav_night").source.own["train"] == {"epochs": 7, "batch_size": 3}


def test_nothing_is_overwritten(folder, capsys):
    publish(DRAFT, capsys)
    before = (folder / "uav_night.yaml").read_text()
    assert "recipes/uav_night.yaml: --name: is there already" in publish(
        "extends: uav_fixed\ntrain: {epochs: 1}\n", capsys, code=2
    )
    assert (folder / "uav_night.yaml").read_text() == before


@pytest.mark.parametrize("name", ["../x", "Uav", "a.yaml", "", "uav@HEAD"])
@pytest.mark.usefixtures("folder")
def test_name_that_is_none_is_refused(name, capsys):
    Path("mine.yaml").write_text(DRAFT)
    assert main(["promote", "mine.yaml", "--name", name]) == 2
    assert "--name: is no name of a recipe" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_what_has_nothing_to_publish_is_refused(capsys):
    assert "differs in nothing from uav_fixed" in publish("extends: uav_fixed\n", capsys, code=2)
    assert main(["promote", "uav_fixed", "--name", "uav_night"]) == 2
    assert "is published already" in capsys.readouterr().err
    text = Path("recipes/uav_baseline.yaml").read_text()
    assert "builds on no published recipe" in publish(text, capsys, code=2)


def run_folder(**record) -> Path:
    folder = Path("run")
    folder.mkdir()
    told = {"id": "a", "recipe": "uav_fixed", "overrides": ["train.batch_size=4"],
            "recipe_fingerprint": load_written("uav_fixed").recipe_fingerprint}  # fmt: skip
    (folder / "run.json").write_text(json.dumps(told | record))
    return folder


def test_run_becomes_a_child_of_its_recipe_at_full_scale(folder):
    run_folder(overrides=["train.batch_size=4", "schedule.params.first.epochs=5"], scale="sample")
    assert main(["promote", "run", "--name", "uav_night"]) == 0
    own = load_written("uav_night").source.own
    assert own["train"] == {"batch_size": 4}
    assert own["schedule"] == {"params": {"first": {"epochs": 5}}}
    fill_in(folder / "uav_night.yaml")
    assert main(["validate", "--write-lock"]) == 0


@pytest.mark.usefixtures("folder")
def test_no_reason_of_the_base_is_given_for_what_a_run_changed(capsys):
    run_folder(overrides=["optimizer.params.lr=0.0005"])
    assert main(["promote", "run", "--name", "uav_night"]) == 0
    own = load_written("uav_night").source.own
    assert own["summary"].startswith("FILL IN")
    assert [change["because"][:7] for change in own["changes"]] == ["FILL IN"]
    capsys.readouterr()
    assert main(["validate", "uav_night"]) == 2
    assert "changes.0.because: is still to be filled in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"recipe": "mine"}, "was a run of a draft"),
        ({"overrides": []}, "nothing to publish"),
        ({"recipe_fingerprint": "0" * 12}, "means something else than when the run began"),
        ({"plugins": {"own.py": "ab"}}, "names no own parts"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_run_that_cannot_be_published_is_told_why(record, said, capsys):
    run_folder(**record)
    assert main(["promote", "run", "--name", "uav_night"]) == 2
    assert said in capsys.readouterr().err


def test_name_that_was_published_before_gets_the_next_version(folder, capsys):
    publish(DRAFT, capsys)
    fill_in(folder / "uav_night.yaml")
    assert main(["validate", "--write-lock"]) == 0
    (folder / "uav_night.yaml").unlink()
    publish(DRAFT, capsys)
    assert load_written("uav_night").recipe.version == 2


def test_every_placeholder_is_refused_by_validate():
    assert promote._WHY.startswith(promote.TO_FILL_IN)
    assert promote._SUMMARY.startswith(promote.TO_FILL_IN)
