"""What a task says of a step is shown beside its loss."""

import pytest
import torch
from tiny_training import TinyTask, tiny_run

from runner.engine.loop import TrainedGroup
from runner.engine.stepping import Stepper


class Telling(TinyTask):
    """Tells the gradient's norm, as it finds it."""

    def figures(self):
        norms = [p.grad.norm() for p in self.parameters() if p.grad is not None]
        return {"own/norm": torch.linalg.vector_norm(torch.stack(norms))}


def test_figures_are_told_of_gradients_before_they_are_clipped():
    run = tiny_run(is_plain=True)
    told = Telling(is_plain=True)
    told.load_state_dict(run.task.state_dict())
    optimizer = torch.optim.AdamW([{"params": list(told.parameters()), "initial_lr": 0.01}])
    group = TrainedGroup(optimizer, lambda _: 1.0, clip_norm=1e-3)
    run = tiny_run(is_plain=True, task=told, groups=[group])
    stepper = Stepper(run)
    stepper.step(run.train_batches(0))
    stepper.read()
    row = run.memory.window[-1]
    assert row["own/norm"] == pytest.approx(row["grad_norm"]) and row["own/norm"] > 0.01
    assert row["loss"] == pytest.approx(sum(v for k, v in row.items() if k.startswith("loss/")))


def test_a_task_that_tells_nothing_adds_nothing():
    run = tiny_run()
    stepper = Stepper(run)
    stepper.step(run.train_batches(0))
    stepper.read()
    assert set(run.memory.window[-1]) == {"loss", "loss/ce", "loss/size", "grad_norm", "skipped"}
