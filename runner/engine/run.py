"""From a checked recipe to a run: data first, then what their spec decides."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from runner.contracts import Batch, Data, HealthRule, Horizon, Metric, Sampler, Split
from runner.engine.batches import evaluation_loader, train_loader
from runner.engine.distributed import Processes
from runner.engine.history import EarlyStopping, Monitor
from runner.engine.names import check_figures
from runner.engine.reading import read_data
from runner.engine.state import Run, TrainedGroup, seed_everything
from runner.errors import Problem, RecipeError
from runner.language.blame import blaming
from runner.language.course import plan_of
from runner.language.load import Loaded
from runner.language.machine import Machine
from runner.language.recipe import Recipe
from runner.plan import Plan
from runner.registry import Part
from runner.rules import OnTrial
from runner.task import Group, Task


@dataclass(frozen=True)
class Assembled:
    """A run that can begin, and what is worth writing down about it.

    Attributes:
        run: for ``loop.train``.
        data: what it is trained on.
        measured: figures of the training split that parts asked for; a resumed run is given them.
    """

    run: Run
    data: Data

    @property
    def measured(self) -> dict[str, tuple[float, ...]]:
        """Figures of the training split that parts have asked for."""
        return dict(self.data.spec.measured.values)


def assemble(
    loaded: Loaded,
    machine: Machine,
    *,
    device: torch.device,
    processes: Processes,
    fingerprint: str,
    checkpoints: Path | None = None,
    measured: Mapping[str, Sequence[float]] | None = None,
    will_be_restored: bool = False,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Assembled:
    """Build everything that a recipe names.

    Args:
        loaded: the recipe.
        machine: folders, workers.
        device: to train on.
        processes: that train together.
        fingerprint: of the run; what its checkpoints carry.
        checkpoints: where to write them; none are written where None.
        measured: figures of the training split that the run has recorded before.
        will_be_restored: whether a checkpoint's weights take the place of pretrained ones, so
            that these need not be at hand.
        stop_requested: asked after each step.
    Raises: RecipeError, DataError, MachineError: the parts' own.
    """
    recipe = loaded.recipe
    train = recipe.train
    seed_everything(train.seed, deterministic=train.deterministic, rank=processes.rank)
    source = loaded.source
    with blaming(source, "data"):
        data = read_data(recipe, machine)
    data.spec.measured.values.update({k: tuple(v) for k, v in (measured or {}).items()})
    with blaming(source, "sampler"):
        sampler = recipe.sampler.build(data.splits["train"], train.batch_size)
        plan = plan_of(recipe, len(sampler), processes.world)
    # Weights are the same in every process; only what is random while training differs.
    torch.manual_seed(train.seed)
    with blaming(source, "task"):
        part = from_scratch(recipe.task) if will_be_restored else recipe.task
        task: Task = part.build(data.spec).to(device)
    seed_everything(train.seed, deterministic=train.deterministic, rank=processes.rank)
    workers = loader_workers(machine, processes)
    with blaming(source, "optimizer"):
        groups = trained_groups(task, recipe, plan)
    with blaming(source, "metrics"):
        metrics = build_metrics(recipe, data)  # Now, and not first at the first evaluation.
    with blaming(source, "health"):
        health = build_health(loaded)
    with blaming(source):
        check_figures(loaded, data.spec.classes, metrics, health)

    stopping = train.early_stopping
    run = Run(
        task=task,
        plan=plan,
        groups=groups,
        train_batches=_training_batches(data, sampler, recipe, workers, processes, device),
        monitor=Monitor(recipe.monitor.metric, recipe.monitor.mode),
        val_batches=_evaluation_batches(data.splits["val"], recipe, workers, processes, device),
        metrics=lambda: build_metrics(recipe, data),
        health=[rule for _, rule in health],
        device=device,
        precision=train.precision,
        lr_scale=train.lr_scale,
        ema_decay=train.ema.decay if train.ema else None,
        ema_evaluate=train.ema.evaluate if train.ema else True,
        early_stopping=EarlyStopping(stopping.patience, stopping.min_delta) if stopping else None,
        checkpoints=checkpoints,
        panels=train.panels,
        compile=train.compile,
        channels_last=train.channels_last,
        processes=processes,
        fingerprint=fingerprint,
        stop_requested=stop_requested,
    )
    return Assembled(run, data)


def from_scratch(part: Part[Any]) -> Part[Any]:
    """Return a part, and those that it names, without ``pretrained``."""

    def without(value: Any) -> Any:
        return from_scratch(value) if isinstance(value, Part) else value

    params = part.params
    values = {name: without(value) for name, value in params}
    if "pretrained" in values:
        values["pretrained"] = None
    return replace(part, params=params.model_copy(update=values))


def trained_groups(task: Task, recipe: Recipe, plan: Plan) -> list[TrainedGroup]:
    """Return what steps which parameters: the task's own choice, or else the recipe's.

    Raises: RecipeError: a group has no parameter.
    """
    groups = task.groups()
    for name in [name for name, group in groups.items() if not group.parameters]:
        whose = f" of its group {name}" if name else ""
        message = (
            f"has no parameter{whose} to train; build a model that has, or thaw what is frozen"
        )
        raise RecipeError(Problem("", "task", message))
    return [_trained_group(name, group, recipe, plan) for name, group in groups.items()]


def _trained_group(name: str, group: Group, recipe: Recipe, plan: Plan) -> TrainedGroup:
    optimizer = (group.optimizer or recipe.optimizer).build(group.parameters)
    # Not of a param group: those may carry multipliers.
    rate = optimizer.defaults["lr"]
    horizon = Horizon(plan.written_steps, plan.written_epochs, rate, recipe.monitor.mode)
    schedule = (group.schedule or recipe.schedule).build(horizon)
    clip = recipe.train.clip_norm if group.clip_norm is None else group.clip_norm
    # A scale is chosen for the recipe's own rate; that of a discriminator's Adam is another's.
    return TrainedGroup(optimizer, schedule, clip, name, is_scaled=group.optimizer is None)


def build_metrics(recipe: Recipe, data: Data) -> list[Metric]:
    """Return the metrics of one evaluation."""
    return [part.build(data.spec) for part in recipe.metrics]


def build_health(loaded: Loaded) -> list[tuple[str, HealthRule]]:
    """Return name and rule of those that hold for the run's scale.

    Two steps of a smoke test say nothing of a training: there a rule is on trial itself, unless it
    was written for this scale.
    """
    found: list[tuple[str, HealthRule]] = []
    for name, rule in loaded.recipe.health.items():
        if rule is not None and rule.scale in (None, loaded.scale):
            built: HealthRule = rule.part.build()
            is_trial = loaded.scale == "smoke" and rule.scale is None
            found.append((name, OnTrial(built) if is_trial else built))
    return found


def loader_workers(machine: Machine, processes: Processes) -> int:
    """Return the number of loader processes: the machine's, or one less than the cores' share."""
    if machine.workers is not None:
        return machine.workers
    # Containers and schedulers give a process fewer cores than the machine has, where they can.
    gives_cores = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if gives_cores else os.cpu_count() or 1
    return max(1, min(8, cores // processes.local_world - 1))


def _training_batches(
    data: Data,
    sampler: Sampler,
    recipe: Recipe,
    workers: int,
    processes: Processes,
    device: torch.device,
) -> Callable[[int], Iterator[Batch]]:
    """Return what gives the batches of the training from any of them on."""

    def batches(start_batch: int) -> Iterator[Batch]:
        return train_loader(
            data.splits["train"],
            sampler,
            batch_size=recipe.train.batch_size,
            seed=recipe.train.seed,
            start_batch=start_batch,
            workers=workers,
            rank=processes.rank,
            world=processes.world,
            pin_memory=device.type == "cuda",
            drop_last=recipe.train.drop_last,
        )

    return batches


def _evaluation_batches(
    split: Split, recipe: Recipe, workers: int, processes: Processes, device: torch.device
) -> Any:
    share = max(1, recipe.train.batch_size // processes.world)
    return evaluation_loader(
        split,
        # Whole volumes differ in shape: such a split says that it is looked at one by one.
        batch_size=min(share, getattr(split, "largest_batch", share)),
        workers=min(workers, 2),
        rank=processes.rank,
        world=processes.world,
        pin_memory=device.type == "cuda",
    )
