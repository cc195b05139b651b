"""Lints are known by name, allowed with a reason, and told at file and line."""

import json
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from runner.cli import main
from runner.language import lints as package
from runner.language.known import statistics_at_hand
from runner.language.lints.lint import Lint
from runner.language.lints.table import (
    LINTS,
    concerns,
    needlessly_allowed,
    unknown_allowed,
)
from runner.language.load import load_written
from runner.language.source import published


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


DOUBTFUL = (
    "extends: yolov8_corrected\n"
    "metrics: [{name: average_precision, params: {score_threshold: 0.25, also_at: [0.001]}}]\n"
)


def test_every_lint_of_the_package_is_in_the_table():
    modules = [
        import_module(f"{package.__name__}.{each.name}") for each in iter_modules(package.__path__)
    ]
    written = {
        each.name for module in modules for each in vars(module).values() if isinstance(each, Lint)
    }
    assert written == set(LINTS)


@pytest.mark.parametrize("name", LINTS)
def test_every_lint_says_what_why_and_the_cure(name):
    each = LINTS[name]
    assert each.summary.endswith("."), each
    assert each.reason and each.cure, each
    assert not each.reason.endswith("."), "it stands within a line"


def test_lint_is_told_at_its_line_and_exits_0(capsys):
    Path("mine.yaml").write_text(DOUBTFUL)
    assert main(["validate", "mine.yaml"]) == 0
    told = capsys.readouterr().err
    assert told.startswith("mine.yaml: 1 lint, 0 allowed\n")
    assert "mine.yaml:2: metrics.0.params.score_threshold: score_threshold_for_map: boxes" in told
    assert "mAP ranks all boxes by score" in told
    assert "(0.001; task.params" in told


def test_strict_exits_2_unless_the_recipe_says_why(capsys):
    Path("mine.yaml").write_text(DOUBTFUL)
    assert main(["validate", "mine.yaml", "--strict"]) == 2
    Path("mine.yaml").write_text(
        DOUBTFUL + "allow: {score_threshold_for_map: as the camera has it}\n"
    )
    capsys.readouterr()
    assert main(["validate", "mine.yaml", "--strict"]) == 0
    assert "[allowed: as the camera has it]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{score_treshold_for_map: x}", "did you mean 'score_threshold_for_map'?"),
        ("{no_such_thing: x}", "no lint is called 'no_such_thing'; known here: "),
        ("{score_threshold_for_map: ' '}", "say why it is meant"),
    ],
)
def test_allow_that_allows_nothing_is_an_error_at_its_line(capsys, line, said):
    Path("mine.yaml").write_text(f"{DOUBTFUL}allow: {line}\n")
    assert main(["validate", "mine.yaml"]) == 2
    told = capsys.readouterr().err
    assert "mine.yaml:3: allow." in told
    assert said in told


def test_allow_of_a_lint_that_has_nothing_to_say_is_an_error(capsys):
    Path("mine.yaml").write_text("extends: yolov8_corrected\nallow: {score_threshold_for_map: x}\n")
    assert main(["validate", "mine.yaml"]) == 2
    assert "mine.yaml:2: allow.score_threshold_for_map: the recipe gives" in capsys.readouterr().err


def test_child_does_not_inherit_what_its_base_allows():
    Path("base.yaml").write_text(DOUBTFUL + "allow: {score_threshold_for_map: meant}\n")
    Path("mine.yaml").write_text("extends: base.yaml\n")
    assert main(["validate", "base.yaml", "--strict"]) == 0
    assert main(["validate", "mine.yaml", "--strict"]) == 2


def test_json_has_every_lint_with_reason_and_cure(capsys):
    Path("mine.yaml").write_text(DOUBTFUL)
    assert main(["validate", "mine.yaml", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["lints"]
    assert (row["recipe"], row["lint"]) == ("mine", "score_threshold_for_map")
    assert row["place"] == "mine.yaml:2"
    assert all(row[name] for name in ("key", "message", "reason", "cure"))


@pytest.mark.parametrize("name", published())
def test_published_recipe_says_why_it_means_what_lints_find_and_no_more(name):
    loaded = load_written(name)
    statistics = statistics_at_hand(loaded)
    said = concerns(loaded, statistics)
    assert [str(each) for each in said if not each.allowed] == []
    assert unknown_allowed(loaded) == []
    assert needlessly_allowed(loaded, said, is_measured=statistics is not None) == []
