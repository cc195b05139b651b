import copy
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import TinySplit, tiny_run

from runner.contracts import History
from runner.engine.checkpoint import load
from runner.engine.loop import Run, restore, train
from runner.errors import RecipeError
from runner.events import Event, Finding, Finished, Saved, Started

SETTINGS: dict[str, dict[str, Any]] = {
    "batchnorm, dropout, ema, accumulation": {},
    "momentum": {"optimizer": "sgd", "plan": {"log_every": 4, "evaluate_every_epochs": 2}},
    "a poisoned item": {"train_split": TinySplit(bad=frozenset({4}))},
    "compressed": {"plan": {"epochs": 20, "compress_to_steps": 9}},
}


def levels(history: History) -> list[Finding]:
    """A rule whose level changes now and then."""
    step = round(history.progress.step)
    level = "warning" if step % 4 < 2 else "good"
    return [Finding(rule="levels", level=level, step=0, epoch=0)]


def told(events: list[Event]) -> list[dict[str, Any]]:
    """What happened, times and interruptions aside."""
    kept = [
        e for e in events if not isinstance(e, Saved) and getattr(e, "state", "") != "preempted"
    ]
    return [
        {key: str(value) for key, value in event.record().items() if key != "time_s"}
        for event in kept
    ]


def weights(run: Run) -> dict[str, torch.Tensor]:
    assert run.ema is not None
    averaged = {f"ema.{name}": v for name, v in run.ema.state_dict()["weights"].items()}
    return {**run.task.state_dict(), **averaged}


def assert_same_weights(one: Run, other: Run) -> None:
    for name, value in weights(one).items():
        assert torch.equal(value, weights(other)[name]), name


def stops_after(step: int) -> Any:
    calls = iter(range(1, 100))
    return lambda: next(calls) == step


def resumed(folder: Path, **settings: Any) -> Run:
    run = tiny_run(folder, health=[levels], **settings)
    torch.manual_seed(99)  # what a new process has drawn before does not matter
    loaded = load(folder)
    assert loaded is not None
    restore(run, loaded.state)
    return run


@pytest.mark.parametrize("name", SETTINGS)
def test_preempted_at_any_step_and_resumed_is_bit_exact(tmp_path: Path, name: str) -> None:
    settings = SETTINGS[name]
    whole = tiny_run(tmp_path / "whole", health=[levels], **settings)
    events = list(train(whole))
    assert events[-1].step == 9
    for step in range(1, 9):
        folder = tmp_path / f"at-{step}"
        broken = tiny_run(folder, health=[levels], stop_requested=stops_after(step), **settings)
        before = list(train(broken))
        assert [e.state for e in before if isinstance(e, Finished)] == ["preempted"]
        continued = resumed(folder, **settings)
        after = list(train(continued))
        assert not any(isinstance(event, Started) for event in after)
        assert told(before + after) == told(events)
        assert_same_weights(continued, whole)


def test_resume_is_bit_exact_with_workers_and_another_number_of_them(tmp_path: Path) -> None:
    whole = tiny_run(tmp_path / "whole")
    list(train(whole))
    for step in (1, 3, 5):
        folder = tmp_path / f"at-{step}"
        list(train(tiny_run(folder, workers=2, stop_requested=stops_after(step))))
        continued = resumed(folder, workers=2 if step == 1 else 1)
        list(train(continued))
        assert_same_weights(continued, whole)


def test_many_interruptions_are_as_good_as_none(tmp_path: Path) -> None:
    whole = tiny_run(tmp_path / "whole")
    list(train(whole))
    list(train(tiny_run(tmp_path / "run", stop_requested=lambda: True)))
    for _ in range(8):
        continued = replace(resumed(tmp_path / "run"), stop_requested=lambda: True)
        restore(continued, load(tmp_path / "run").state)  # type: ignore[union-attr]
        list(train(continued))
    assert continued.memory.step == 9
    assert_same_weights(continued, whole)


def killed_after(run: Run, events: int) -> list[Event]:
    """Take so many events of a training and drop it, as a killed process does."""
    source: Iterator[Event] = train(run)
    return [next(source) for _ in range(events)]


def test_killed_after_any_event_and_resumed_tells_the_rest(tmp_path: Path) -> None:
    whole = tiny_run(tmp_path / "whole", health=[levels])
    events = list(train(whole))
    first_saved = next(n for n, event in enumerate(events) if isinstance(event, Saved))
    for number in range(first_saved + 1, len(events)):
        folder = tmp_path / f"after-{number}"
        killed_after(tiny_run(folder, health=[levels]), number)
        continued = resumed(folder)
        saved_at = max(n for n in range(number) if isinstance(events[n], Saved))
        assert continued.memory.step == events[saved_at].step
        assert told(list(train(continued))) == told(events[saved_at + 1 :])
        assert_same_weights(continued, whole)


def test_the_saved_line_of_the_checkpoint_can_be_asked_for(tmp_path: Path) -> None:
    list(train(tiny_run(tmp_path, stop_requested=stops_after(4))))
    events = list(train(resumed(tmp_path), reyield_saved=True))
    assert isinstance(events[0], Saved)
    assert (events[0].step, events[0].checkpoint) == (4, "step-00000004.pt")


def test_time_counts_from_the_start_of_the_run(tmp_path: Path) -> None:
    ticks = iter(range(100_000))
    clock = lambda: float(next(ticks))  # noqa: E731
    *_, last = train(tiny_run(tmp_path, stop_requested=stops_after(4), clock=clock))
    run = tiny_run(tmp_path, clock=lambda: 5.0)
    restore(run, load(tmp_path).state)  # type: ignore[union-attr]
    resumed_events = list(train(run))
    assert 0 < resumed_events[0].time_s <= last.time_s


def test_a_finished_run_resumed_only_says_so(tmp_path: Path) -> None:
    list(train(tiny_run(tmp_path)))
    events = list(train(resumed(tmp_path)))
    assert [type(event) for event in events] == [Finished]


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    list(train(tiny_run(tmp_path)))
    loaded = load(tmp_path)
    assert loaded is not None
    other = tiny_run(fingerprint="other")
    before = copy.deepcopy(other.task.state_dict())
    with pytest.raises(RecipeError, match="another recipe.*--extend"):
        restore(other, loaded.state)
    assert all(torch.equal(value, before[n]) for n, value in other.task.state_dict().items())


def test_a_checkpoint_holds_no_more_than_weights_only_allows() -> None:
    with tempfile.TemporaryDirectory() as folder:
        list(train(tiny_run(Path(folder), health=[levels])))
        loaded = load(Path(folder))
        assert loaded is not None
        assert set(loaded.state) >= {"task", "optimizers", "ema", "random", "memory", "windows"}
