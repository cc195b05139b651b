"""Everything that a training needs, what a checkpoint keeps of it, and the way back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from runner.contracts import Batch, HealthRule, Metric, Schedule
from runner.engine.distributed import Processes
from runner.engine.ema import Ema
from runner.engine.history import EarlyStopping, Memory, Monitor
from runner.engine.precision import LossScale, Precision, check_precision
from runner.errors import Problem, RecipeError
from runner.plan import Plan
from runner.task import Task


def _never() -> bool:
    return False


def _no_metrics() -> Sequence[Metric]:
    return ()


@dataclass(frozen=True)
class TrainedGroup:
    """Parameters that one optimizer steps.

    Attributes:
        optimizer: its param groups carry ``initial_lr``.
        schedule: the factor of its learning rates.
        clip_norm: gradients are scaled down to this L2 norm; not at all where None.
        name: as in ``task.groups()``.
        is_scaled: whether its learning rate is multiplied by the run's ``lr_scale``.
    """

    optimizer: Optimizer
    schedule: Schedule
    clip_norm: float | None = None
    name: str = ""
    is_scaled: bool = True

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that the optimizer steps."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training, assembled; ``loop.train`` carries it out.

    Attributes:
        task: on its device already.
        plan: its course in steps.
        groups: what steps which parameters.
        train_batches: given the number of a batch in the run, yields from it on without end.
        monitor: what best, plateau and early stopping look at.
        val_batches: of an evaluation; iterated anew each time; no evaluations where None.
        metrics: builds the metrics of one evaluation.
        health: rules, asked after each logging step and each evaluation.
        device: of the task.
        precision: of forward and backward pass; weights stay fp32.
        lr_scale: factor of the groups' learning rates, such as a sample's.
        ema_decay: of the averaged weights; none are kept where None.
        ema_evaluate: whether evaluations look at the averaged weights.
        early_stopping: when to end before the plan does.
        checkpoints: their folder; none are written where None.
        save_every_steps: between checkpoints, beside those at evaluations.
        panels: pictures of an evaluation, at most.
        compile: whether to compile the task's models.
        channels_last: whether convolutions keep channels innermost in memory.
        processes: this one, among those that train together.
        fingerprint: of the resolved recipe; a checkpoint of another is refused.
        clock: seconds, never going back.
        stop_requested: asked after each step; True saves and ends as preempted.
        memory: what has happened so far.
    """

    task: Task
    plan: Plan
    groups: Sequence[TrainedGroup]
    train_batches: Callable[[int], Iterator[Batch]]
    monitor: Monitor
    val_batches: Iterable[Batch] | None = None
    metrics: Callable[[], Sequence[Metric]] = _no_metrics
    health: Sequence[HealthRule] = ()
    device: torch.device = torch.device("cpu")
    precision: Precision = "fp32"
    lr_scale: float = 1.0
    ema_decay: float | None = None
    ema_evaluate: bool = True
    early_stopping: EarlyStopping | None = None
    checkpoints: Path | None = None
    save_every_steps: int | None = None
    panels: int = 0
    compile: bool = False
    channels_last: bool = False
    processes: Processes = Processes()
    fingerprint: str = ""
    clock: Callable[[], float] = time.monotonic
    stop_requested: Callable[[], bool] = _never
    memory: Memory = field(default_factory=Memory)
    ema: Ema | None = field(init=False)
    loss_scale: LossScale | None = field(init=False)

    def __post_init__(self) -> None:
        check_precision(self.precision, self.device)
        if self.channels_last:
            self.task.to(memory_format=_innermost_channels(self.task))
        ema = None
        if self.ema_decay is not None:
            ema = Ema(self.task, decay=self.ema_decay, evaluate=self.ema_evaluate)
        # Frozen for its readers; these two follow from the values above.
        object.__setattr__(self, "ema", ema)
        scale = LossScale(self.device) if self.precision == "fp16" else None
        object.__setattr__(self, "loss_scale", scale)


def _innermost_channels(task: Task) -> torch.memory_format:
    return torch.channels_last if task.spec.dimensions == 2 else torch.channels_last_3d


def capture(run: Run) -> dict[str, Any]:
    """Return all that a checkpoint keeps; every process must call it.

    The tensors are the live ones: write them, or copy them, before the next step.
    """
    return {
        "run_fingerprint": run.fingerprint,
        "step": run.memory.step,
        "task": run.task.state_dict(),
        "optimizers": {group.name: group.optimizer.state_dict() for group in run.groups},
        "loss_scale": run.loss_scale.state_dict() if run.loss_scale else None,
        "ema": run.ema.state_dict() if run.ema else None,
        "memory": run.memory.dump(),
        "windows": run.processes.gather(run.memory.dump()["window"]),
        "random": run.processes.gather(_random_state(run.device)),
    }


def restore(run: Run, state: Mapping[str, Any]) -> None:
    """Put a run where a checkpoint was; ``loop.train`` then goes on from there.

    Args:
        run: freshly assembled from the same recipe.
        state: of ``checkpoint.load``.
    Raises: RecipeError: the checkpoint is of another recipe.
    """
    if state["run_fingerprint"] != run.fingerprint:
        message = (
            f"the checkpoint is of another recipe (fingerprint {state['run_fingerprint'][:12]}, "
            f"this one is {run.fingerprint[:12]}); resume with the run's own recipe.yaml, "
            "or use --extend for a new plan"
        )
        raise RecipeError(Problem("", "", message))
    run.task.load_state_dict(state["task"])
    for group in run.groups:
        group.optimizer.load_state_dict(state["optimizers"][group.name])
    if run.loss_scale:
        run.loss_scale.load_state_dict(state["loss_scale"])
    if run.ema:
        run.ema.load_state_dict(state["ema"])
    run.memory.load(state["memory"])
    windows, states = state["windows"], state["random"]
    run.memory.window = windows[run.processes.rank % len(windows)]
    _set_random_state(states[run.processes.rank % len(states)], run.device)


def _random_state(device: torch.device) -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)


def seed_everything(seed: int, *, deterministic: bool, rank: int = 0) -> None:
    """Seed the generators that torch and third parties draw from.

    Args:
        seed: of the run.
        deterministic: use deterministic kernels where torch has them, and warn where it has none.
        rank: of this process; each drops out other units.
    """
    random.seed(seed + rank)
    np.random.seed((seed + rank) % 2**32)
    torch.manual_seed(seed + rank)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = not deterministic
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
