"""The engine on a CUDA device: what the tests of the CPU cannot show."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import tiny_run

from runner.cli import main
from runner.engine.checkpoint import load
from runner.engine.folder import read_run
from runner.engine.journal import read_events
from runner.engine.loop import restore, train
from runner.events import Stepped

pytestmark = pytest.mark.gpu

CUDA = torch.device("cuda")
PRECISIONS = ["fp32", "bf16", "fp16"]


def losses(run: Any) -> list[float]:
    return [event.values["train/loss"] for event in train(run) if isinstance(event, Stepped)]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_training_is_that_of_the_cpu(precision: str) -> None:
    near = {"rel": 1e-3} if precision == "fp32" else {"rel": 0.1, "abs": 0.02}
    on_device = losses(tiny_run(is_plain=True, device=CUDA, precision=precision))
    assert on_device == pytest.approx(losses(tiny_run(is_plain=True)), **near)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_resume_goes_on_where_it_was_stopped(tmp_path: Path, precision: str) -> None:
    settings: dict[str, Any] = {"device": CUDA, "precision": precision, "is_plain": True}
    whole = tiny_run(tmp_path / "whole", **settings)
    list(train(whole))
    calls = iter(range(1, 100))
    list(train(tiny_run(tmp_path / "run", stop_requested=lambda: next(calls) == 4, **settings)))
    continued = tiny_run(tmp_path / "run", **settings)
    loaded = load(tmp_path / "run")
    assert loaded is not None
    restore(continued, loaded.state)
    list(train(continued))
    for name, value in whole.task.state_dict().items():
        torch.testing.assert_close(continued.task.state_dict()[name], value)


def test_a_step_that_is_not_finite_changes_nothing_and_nobody_waits_for_it() -> None:
    from runner.engine.stepping import Stepper

    run = tiny_run(is_plain=True, device=CUDA)
    before = {name: value.clone() for name, value in run.task.state_dict().items()}
    quiet = run.task.losses
    run.task.losses = lambda *given: {"loud": math.inf * sum(quiet(*given).values())}
    Stepper(run).step(run.train_batches(0))
    for name, value in run.task.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("extra", [[], ["train.channels_last=true"], ["train.compile=true"]])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_recipe_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, extra: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sets = [f"train.precision={precision}", "train.compress_to_steps=4", *extra]
    words = ["train", "uav_corrected", "--smoke", "--device", "cuda", "--quiet", "--out", "run"]
    assert main([*words, *(word for text in sets for word in ("--set", text))]) == 0
    assert read_run(Path("run")).state == "done"
    stepped = [event for event in read_events(Path("run/events.jsonl")) if "values" in event]
    assert stepped
    assert all(math.isfinite(event["values"].get("train/loss", 0.0)) for event in stepped)
