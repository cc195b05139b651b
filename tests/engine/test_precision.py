import pytest
import torch
from tiny_training import tiny_run

from runner.engine.loop import train
from runner.engine.precision import LossScale, autocast, check_precision
from runner.engine.stepping import Stepper
from runner.errors import MachineError
from runner.events import Finding, Stepped

CPU = torch.device("cpu")


def test_fp16_on_the_cpu_is_refused_with_the_cure() -> None:
    with pytest.raises(MachineError, match="cpu: train.precision: fp16 needs a CUDA.*bf16 or fp32"):
        check_precision("fp16", CPU)
    with pytest.raises(MachineError):
        tiny_run(precision="fp16")


def test_bf16_runs_the_forward_pass_in_bf16_and_keeps_weights_and_losses_fp32() -> None:
    run = tiny_run(precision="bf16", is_plain=True)
    seen = []
    run.task.model.register_forward_hook(lambda *given: seen.append(given[2].dtype))
    stepped = [event for event in train(run) if isinstance(event, Stepped)]
    assert set(seen) == {torch.bfloat16}
    assert all(p.dtype == torch.float32 for p in run.task.parameters())
    exact = [e for e in train(tiny_run(is_plain=True)) if isinstance(e, Stepped)]
    for one, other in zip(stepped, exact, strict=True):
        wanted = pytest.approx(other.values["train/loss"], rel=0.05)
        assert one.values["train/loss"] == wanted
        assert one.values["train/loss"] != other.values["train/loss"]


def test_fp32_is_left_as_it_is() -> None:
    with autocast("fp32", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_the_loss_scale_halves_after_a_skip_and_doubles_after_many_steps() -> None:
    scale = LossScale(CPU, grows_every=3)
    applied, skipped = torch.tensor(0.0), torch.tensor(1.0)
    values = []
    for flag in (applied, applied, skipped, applied, applied, applied, applied):
        scale.update(flag)
        values.append(float(scale.value) / 2**16)
    assert values == [1, 1, 0.5, 0.5, 0.5, 1, 1]
    other = LossScale(CPU, grows_every=3)
    other.load_state_dict(scale.state_dict())
    assert other.state_dict() == scale.state_dict() == {"value": 2.0**16, "applied_steps": 1.0}


@pytest.mark.parametrize("may_wait", [True, False])
def test_a_scaled_training_is_the_same_training(may_wait: bool) -> None:
    plain, scaled = tiny_run(is_plain=True), tiny_run(is_plain=True)
    object.__setattr__(scaled, "loss_scale", LossScale(CPU))
    for run in (plain, scaled):
        stepper = Stepper(run, may_wait=may_wait)
        batches = run.train_batches(0)
        for _ in range(9):
            stepper.step(batches)
    for name, value in plain.task.state_dict().items():
        torch.testing.assert_close(scaled.task.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_overflow_of_the_scale_is_no_finding() -> None:
    run = tiny_run(is_plain=True, plan={"log_every": 1})
    scale = LossScale(CPU)
    scale.value.fill_(2.0**127)
    object.__setattr__(run, "loss_scale", scale)
    quiet = run.task.losses
    run.task.losses = lambda *given: {"loud": 1e4 * sum(quiet(*given).values())}
    events = list(train(run))
    assert sum(event.skipped for event in events if isinstance(event, Stepped)) > 0
    assert [event for event in events if isinstance(event, Finding)] == []
    assert all(p.isfinite().all() for p in run.task.parameters())
