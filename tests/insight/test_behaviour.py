"""Each recipe does what was pinned: a refactor that changes a loss is named, with step and figure.

After a change that is meant, bump the recipe's version, or pin anew: ``runner trace --rewrite``.
"""

import pytest
import torch

from runner.cli import main
from runner.errors import RecipeError
from runner.insight import behaviour
from runner.insight.behaviour import STEPS, Trace, deviation, read_traces, trace, write_traces
from runner.language.source import published, published_folder


@pytest.mark.parametrize("name", published())
def test_recipe_does_what_was_pinned(name):
    pinned = read_traces(published_folder()).get(name)
    assert pinned is not None, f"{name} has no trace: make lock"
    found = trace(name)
    assert found.version == pinned.version, f"{name} has another version: make lock"
    off = deviation(pinned, found)
    assert off is None, str(off)


def test_only_published_recipes_are_pinned():
    assert set(read_traces(published_folder())) == set(published())


def test_trace_is_the_same_twice_and_has_a_loss_for_each_step():
    first = trace("uav_fixed")
    assert trace("uav_fixed") == first
    assert len(first.losses) == STEPS


def test_a_loss_that_changes_by_a_percent_is_named_with_step_and_figures(monkeypatch):
    before = trace("uav_fixed")
    real = torch.nn.functional.cross_entropy
    changed = lambda *words, **options: 1.01 * real(*words, **options)  # noqa: E731
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", changed)
    off = deviation(before, trace("uav_fixed"))
    assert off is not None
    assert (off.recipe, off.step) == ("uav_fixed", 1)
    assert str(off).startswith("uav_fixed: the loss of step 1 is 0.8")


@pytest.mark.parametrize(
    ("losses", "step"),
    [((1.0, 2.0, 3.0), None), ((1.0, 2.0001, 3.0), None), ((1.0, 2.02, 3.0), 2),
     ((1.0, 2.0), 3), ((1.0, float("nan"), 3.0), 2)],
)  # fmt: skip
def test_rounding_is_no_deviation(losses, step):
    off = deviation(Trace("a", 1, (1.0, 2.0, 3.0)), Trace("a", 1, losses))
    assert (off and off.step) == step


def test_traces_are_written_and_read_back(tmp_path):
    traces = {name: Trace(name, 2, (0.125, 1e-7)) for name in ("b", "a")}
    write_traces(tmp_path, traces.values())
    assert read_traces(tmp_path) == traces
    assert read_traces(tmp_path / "nowhere") == {}
    (tmp_path / behaviour.TRACE).write_text("recipe\nuav_fixed\n")
    with pytest.raises(RecipeError, match="behaviour.csv: is no table of losses"):
        read_traces(tmp_path)


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """A folder to pin in, and a recipe whose losses the test decides."""
    losses = [1.0, 2.0]
    monkeypatch.setattr("runner.commands.trace.published_folder", lambda: tmp_path)
    monkeypatch.setattr("runner.commands.trace.published", lambda: ["a", "b"])
    monkeypatch.setattr(behaviour, "trace", lambda name: Trace(name, 1, tuple(losses)))
    return losses


def test_writing_pins_what_is_new_and_only_rewriting_what_changed(pinned, tmp_path, capsys):
    assert main(["trace"]) == 1
    assert "a: version 1: not pinned; runner trace --write pins it" in capsys.readouterr().out
    assert main(["trace", "--write"]) == 0
    assert main(["trace"]) == 0
    pinned[1] = 3.0
    assert main(["trace", "--write", "a"]) == 1
    assert "a: the loss of step 2 is 3 and was pinned as 2" in capsys.readouterr().out
    assert read_traces(tmp_path)["a"].losses == (1.0, 2.0)
    assert main(["trace", "--rewrite", "a"]) == 0
    assert [read_traces(tmp_path)[name].losses[1] for name in "ab"] == [3.0, 2.0]


@pytest.mark.usefixtures("pinned")
def test_drafts_are_not_pinned(capsys):
    assert main(["trace", "mine.yaml"]) == 2
    assert "only published recipes are pinned" in capsys.readouterr().err
