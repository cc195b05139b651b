"""Changes cover exactly what differs from the base, and a diff tells what follows."""

import json
from pathlib import Path

import pytest

from runner.cli import main
from runner.language import versions
from runner.language.diff import compare
from runner.language.facts import facts, rates
from runner.language.load import load_written
from runner.language.source import published
from runner.language.versions import check_published


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """Check a text as if it lay under the published recipes."""
    monkeypatch.setattr(versions, "is_published", lambda path: path.resolve().parent == tmp_path)
    monkeypatch.chdir(tmp_path)

    def check(text: str) -> list[str]:
        Path(tmp_path, "child.yaml").write_text(text)
        return [str(problem) for problem in check_published(load_written("child.yaml"))]

    return check


BASE = "extends: uav_fixed\nversion: 1\ntrain: {batch_size: 8, epochs: 9}\n"


def group(*keys: str) -> str:
    return f"changes: [{{keys: [{', '.join(keys)}], because: a reason}}]\n"


@pytest.mark.parametrize("name", published())
def test_changes_of_every_published_recipe_cover_its_differences(name):
    assert check_published(load_written(name)) == []


def test_exact_cover_is_accepted_by_key_or_by_section(problems):
    assert problems(BASE + group("train.batch_size", "train.epochs")) == []
    assert problems(BASE + group("train")) == []


def test_unexplained_difference_is_blamed_on_its_line(problems):
    assert problems(BASE + group("train.epochs")) == [
        "child.yaml:3: train.batch_size: differs from uav_fixed, "
        "and no group of changes explains it"
    ]


def test_unfounded_claim_is_blamed_on_its_line(problems):
    assert problems(BASE + group("train", "optimizer.params.lr")) == [
        "child.yaml:4: changes.0.keys.1: optimizer.params.lr does not differ from uav_fixed; "
        "remove the claim"
    ]


def test_key_explained_twice_is_a_problem(problems):
    assert problems(BASE + group("train", "train.epochs")) == [
        "child.yaml:4: changes.0.keys.1: train.epochs is explained by changes.0.keys.0 too; "
        "keep it in one group"
    ]


def test_default_written_out_is_no_difference(problems):
    text = "extends: uav_fixed\nversion: 1\ntrain: {drop_last: true}\n"
    assert problems(text) == []
    assert problems(text + group("train.drop_last")) != []


def test_published_recipe_needs_a_version(problems):
    assert problems("extends: uav_fixed\n") == [
        "child.yaml:1: version: is required of a published recipe"
    ]


def test_draft_needs_neither_version_nor_changes(tmp_path):
    draft = tmp_path / "mine.yaml"
    draft.write_text("extends: uav_fixed\ntrain: {epochs: 3}\n")
    assert check_published(load_written(str(draft))) == []


def test_diff_groups_by_reason_and_tells_what_follows():
    found = compare(load_written("uav_baseline"), load_written("uav_fixed"))
    assert [len(group.differences) for group in found.groups] == [2, 3, 2, 1]
    assert found.groups[0].differences[0].kind == "swapped"
    told = {name: (before, after) for name, before, after in found.consequences}
    assert told["effective batch"] == ("16", "18")
    assert told["learning rate at 50%"] == ("5.05e-05", "0.000256")


def test_diff_of_strangers_has_one_group_without_reason():
    found = compare(load_written("uav_baseline"), load_written("vesuvius_baseline"))
    assert [group.because for group in found.groups] == [""]


def test_diff_command_answers_in_text_and_json(capsys):
    assert main(["diff", "uav_baseline", "uav_fixed"]) == 0
    text = capsys.readouterr().out
    assert "train.batch_size: 4 -> 6" in text
    assert "effective batch" in text
    assert main(["diff", "uav_fixed", "uav_fixed", "--exit-code"]) == 0
    assert "no difference" in capsys.readouterr().out
    assert main(["diff", "uav_baseline", "uav_fixed", "--exit-code", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["groups"]) == 4


@pytest.mark.parametrize("name", published())
def test_facts_of_every_recipe_are_known_without_data(name):
    names = [fact.name for fact in facts(load_written(name).recipe)]
    assert names[:2] == ["effective batch", "length"]


def test_rate_that_depends_on_the_size_of_the_data_is_not_guessed(tmp_path):
    draft = tmp_path / "mine.yaml"
    draft.write_text("extends: uav_fixed\nschedule: {params: {warmup: {steps: 5000}}}\n")
    assert None in rates(load_written(str(draft)).recipe)
