"""Each recipe does what was pinned: a refactor that changes a loss is named, with step and figure.

After a change that is meant, bump the recipe's version, or pin anew: ``runner trace --rewrite``.
"""

import math

import pytest

from runner.cli import main
from runner.errors import RecipeError
from runner.insight import behaviour
from runner.insight.behaviour import STEPS, Trace, deviation, read_traces, trace, write_traces
from runner.language.source import published, published_folder
from runner.nets import segmentation_losses


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
    assert {len(values) for values in first.figures.values()} == {STEPS}


def test_a_loss_that_changes_by_a_percent_is_named_with_step_and_figures(monkeypatch):
    before = trace("uav_fixed")
    real = segmentation_losses.focal_factors
    changed = lambda *given: 1.01 * real(*given)  # noqa: E731
    monkeypatch.setattr(segmentation_losses, "focal_factors", changed)
    off = deviation(before, trace("uav_fixed"))
    assert off is not None
    assert (off.recipe, off.figure, off.step) == ("uav_fixed", "loss", 1)
    assert str(off).startswith("uav_fixed: loss of step 1 is 0.8")


def test_a_schedule_that_changes_by_a_thousandth_is_named(monkeypatch):
    before = trace("uav_baseline")
    real = math.cos
    monkeypatch.setattr(math, "cos", lambda angle: 0.999 * real(angle))
    off = deviation(before, trace("uav_baseline"))
    assert off is not None
    assert off.figure == "lr"


def flat(level: float = 1.0, **other: float) -> Trace:
    """Return a trace of one loss at all steps but some: ``step_3=1.1``."""
    losses = [other.get(f"step_{step}", level) for step in range(1, STEPS + 1)]
    return Trace("a", 1, {"loss": tuple(losses), "lr": (0.1,) * STEPS})


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (flat(), None),
        (flat(step_1=1.00005), None),
        (flat(step_1=1.001), 1),
        (flat(step_2=1.001, step_20=1.01), None),
        (flat(step_2=1.01), 2),
        (flat(step_20=1.03), 20),
        (flat(step_7=float("nan")), 7),
        (Trace("a", 1, {"loss": (1.0,), "lr": (0.1,) * STEPS}), 2),
        (Trace("a", 1, {"loss": (1.0,) * STEPS, "lr": (0.1001,) * STEPS}), 1),
    ],
)
def test_rounding_is_no_deviation(found, step):
    off = deviation(flat(), found)
    assert (off and off.step) == step


def test_traces_are_written_and_read_back(tmp_path):
    figures = {"loss": (0.125, 1e-7), "lr": (1e-4, 0.5)}
    traces = {name: Trace(name, 2, figures) for name in ("b", "a")}
    write_traces(tmp_path, traces.values())
    assert read_traces(tmp_path) == traces
    assert read_traces(tmp_path / "nowhere") == {}
    (tmp_path / behaviour.TRACE).write_text("recipe\nuav_fixed\n")
    with pytest.raises(RecipeError, match="behaviour.csv: is no table of traces"):
        read_traces(tmp_path)


def traced(name: str, losses: list[float]) -> Trace:
    return Trace(name, 1, {"loss": tuple(losses), "lr": (0.1,) * STEPS})


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """A folder to pin in, and a recipe whose losses the test decides."""
    losses = [1.0] * STEPS
    monkeypatch.setattr("runner.commands.trace.published_folder", lambda: tmp_path)
    monkeypatch.setattr("runner.commands.trace.published", lambda: ["a", "b"])
    monkeypatch.setattr(behaviour, "trace", lambda name: traced(name, losses))
    return losses


def test_writing_pins_what_is_new_and_only_rewriting_what_changed(pinned, tmp_path, capsys):
    assert main(["trace"]) == 1
    assert "a: version 1: not pinned; runner trace --write pins it" in capsys.readouterr().out
    assert main(["trace", "--write"]) == 0
    assert main(["trace"]) == 0
    pinned[1] = 3.0
    assert main(["trace", "--write", "a"]) == 1
    assert "a: loss of step 2 is 3 and was pinned as 1" in capsys.readouterr().out
    assert read_traces(tmp_path)["a"].figures["loss"][1] == 1.0
    assert main(["trace", "--rewrite", "a"]) == 0
    assert [read_traces(tmp_path)[name].figures["loss"][1] for name in "ab"] == [3.0, 1.0]


@pytest.mark.usefixtures("pinned")
def test_drafts_are_not_pinned(capsys):
    assert main(["trace", "mine.yaml"]) == 2
    assert "only published recipes are pinned" in capsys.readouterr().err
