"""The guard: a step that is not finite leaves no trace."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import TinySplit, tiny_run
from torch import Tensor, nn

from runner.contracts import Batch
from runner.engine.checkpoint import load
from runner.engine.loop import Run, TrainedGroup, train
from runner.engine.stepping import Buffers, Stepper
from runner.events import Finding, Finished, Saved, Stepped


def everything(run: Run) -> dict[str, Tensor]:
    """Weights, statistics, averaged weights and optimizer state."""
    assert run.ema is not None
    found = {name: value for name, value in run.task.state_dict().items()}
    del found["model.1.num_batches_tracked"]
    found |= {f"ema.{name}": value for name, value in run.ema.state_dict()["weights"].items()}
    for index, state in run.groups[0].optimizer.state_dict()["state"].items():
        found |= {f"{index}.{name}": value for name, value in state.items()}
    return copy.deepcopy(found)


def poisoned(batch: Batch) -> Batch:
    return replace(batch, image=batch.image * math.nan)


def batches_of(run: Run, poison: frozenset[int]) -> Iterator[Batch]:
    for number, batch in enumerate(run.train_batches(0)):
        yield poisoned(batch) if number in poison else batch


@pytest.mark.parametrize("may_wait", [True, False])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "unfused"])
@pytest.mark.parametrize("poison", [0, 4, 5])
def test_a_step_that_is_not_finite_changes_nothing(
    may_wait: bool, optimizer: str, poison: int
) -> None:
    if optimizer == "unfused" and not may_wait:
        return
    run = tiny_run(optimizer=optimizer)
    if optimizer == "sgd":
        for parameter in run.groups[0].parameters:
            state = run.groups[0].optimizer.state[parameter]
            state["momentum_buffer"] = torch.zeros_like(parameter)
        run.groups[0].optimizer.param_groups[0]["momentum"] = 0.9
    stepper = Stepper(run, may_wait=may_wait)
    batches = batches_of(run, frozenset({poison}))
    for _ in range(poison // 2):
        stepper.step(batches)
    before = everything(run)
    stepper.step(batches)
    after = everything(run)
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
    if not before.keys() >= after.keys():
        assert all(not value.any() for name, value in after.items() if name not in before)
    stepper.step(batches)
    assert all(value.isfinite().all() for value in everything(run).values())
    stepper.read()
    assert [row["skipped"] for row in run.memory.window] == [0.0] * (poison // 2) + [1.0, 0.0]


def test_looking_at_the_flag_and_skipping_on_the_device_are_the_same_training() -> None:
    results = []
    for may_wait in (True, False):
        run = tiny_run()
        stepper = Stepper(run, may_wait=may_wait)
        batches = batches_of(run, frozenset({3, 8, 9}))
        for _ in range(8):
            stepper.step(batches)
        results.append(everything(run))
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name]), name


def test_buffers_are_put_back_bit_by_bit_whatever_they_hold() -> None:
    module = nn.Module()
    values = torch.tensor([1.5, -0.0, math.inf, -math.inf, math.nan, 3e-45])
    for dtype in (torch.float32, torch.float64, torch.float16):
        module.register_buffer(str(dtype).split(".")[1], values.to(dtype))
    kept = [buffer.clone() for buffer in module.buffers()]
    guard = Buffers(module)
    guard.keep()
    for buffer in module.buffers():
        buffer.copy_(torch.flip(buffer, (0,)))
    changed = [buffer.clone() for buffer in module.buffers()]
    guard.put_back(torch.tensor(0.0))
    for buffer, wanted in zip(module.buffers(), changed, strict=True):
        torch.testing.assert_close(buffer, wanted, rtol=0, atol=0, equal_nan=True)
    guard.put_back(torch.tensor(1.0))
    for buffer, wanted in zip(module.buffers(), kept, strict=True):
        torch.testing.assert_close(buffer, wanted, rtol=0, atol=0, equal_nan=True)
        assert torch.equal(buffer.signbit(), wanted.signbit())


def test_a_skipped_step_is_counted_and_its_samples_named() -> None:
    events = list(train(tiny_run(train_split=TinySplit(bad=frozenset({4})))))
    stepped = [event for event in events if isinstance(event, Stepped)]
    assert sum(event.skipped for event in stepped) == 3
    assert all(math.isfinite(value) for event in stepped for value in event.values.values())
    findings = [event for event in events if isinstance(event, Finding)]
    assert 0 < len(findings) <= 3
    assert all("item-4" in finding.message and finding.advice for finding in findings)
    assert {(f.rule, f.level, f.stops) for f in findings} == {("non_finite", "critical", False)}
    assert isinstance(events[-1], Finished)
    assert events[-1].state == "done"


def poisoned_from(first: int, **settings: Any) -> Run:
    run = tiny_run(**settings)
    source = run.train_batches
    batches = lambda start: (  # noqa: E731
        poisoned(batch) if start + number >= first else batch
        for number, batch in enumerate(source(start))
    )
    return replace(run, train_batches=batches)


def test_three_in_a_row_stop_the_training_and_keep_the_last_good_checkpoint(
    tmp_path: Path,
) -> None:
    events = list(train(poisoned_from(6, folder=tmp_path, plan={"log_every": 1})))
    *_, finding, finished = events
    assert isinstance(finding, Finding)
    assert isinstance(finished, Finished)
    assert (finding.step, finding.stops, finished.state) == (6, True, "stopped")
    assert [event.step for event in events if isinstance(event, Saved)] == [3]
    loaded = load(tmp_path)
    assert loaded is not None
    assert (loaded.step, loaded.problems) == (3, ())


def test_three_in_a_row_count_across_logging_steps_and_resumes(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"folder": tmp_path, "plan": {"log_every": 2}}
    preempted = poisoned_from(6, **settings)
    calls = iter(range(1, 100))
    list(train(replace(preempted, stop_requested=lambda: next(calls) == 5)))
    resumed = poisoned_from(6, **settings)
    loaded = load(tmp_path)
    assert loaded is not None
    from runner.engine.loop import restore

    restore(resumed, loaded.state)
    *_, finished = train(resumed)
    assert (finished.step, finished.state) == (6, "stopped")  # type: ignore[attr-defined]


def test_spoilt_weights_are_never_saved(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, plan={"log_every": 3})
    events = []
    for event in train(run):
        events.append(event)
        if isinstance(event, Stepped) and event.step == 6:
            with torch.no_grad():
                run.task.model[0].weight[0, 0, 0, 0] = math.inf
    assert [event.step for event in events if isinstance(event, Saved)] == [3]
    assert isinstance(events[-2], Finding)
    assert "weights are not finite" in events[-2].message
    assert events[-1].state == "stopped"


def test_a_group_without_gradients_has_norm_zero() -> None:
    run = tiny_run(plan={"log_every": 1})
    unused = torch.optim.AdamW([{"params": [nn.Parameter(torch.ones(2))], "initial_lr": 0.1}], 0.1)
    groups = [*run.groups, TrainedGroup(unused, lambda _: 1.0, 1.0, "unused")]
    run = replace(run, groups=groups)
    stepped = [event for event in train(run) if isinstance(event, Stepped)]
    assert all(event.values["train/grad_norm/unused"] == 0.0 for event in stepped)
