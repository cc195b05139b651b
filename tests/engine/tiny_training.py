"""A tiny training: real split, sampler and task, small enough to be run at every step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from runner.contracts import Batch, Cut, DataSpec, Draw, Progress, Sample
from runner.engine.batches import evaluation_loader, train_loader
from runner.engine.loop import Monitor, Run, TrainedGroup
from runner.plan import make_plan
from runner.task import Outputs, Task

SPEC = DataSpec(classes=("low", "high"), channels=2)


@dataclass(frozen=True)
class TinySplit:
    """Noisy 4x4 images, augmented by a random flip and noise; ``bad`` items are poisoned."""

    size: int = 11
    bad: frozenset[int] = frozenset()

    @property
    def spec(self) -> DataSpec:
        return SPEC

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(f"item-{index}" for index in range(self.size))

    @property
    def is_labelled(self) -> tuple[bool, ...]:
        return (True,) * self.size

    def __len__(self) -> int:
        return self.size

    def load(self, draw: Draw, generator: np.random.Generator) -> Sample:
        own = np.random.default_rng(draw.index)
        image = own.normal(draw.index % 2, 1.0, (2, 4, 4)) + generator.normal(0, 0.1, (2, 4, 4))
        if generator.random() < 0.5:
            image = image[:, :, ::-1]
        if draw.index in self.bad:
            image = image * np.nan
        return Sample(
            id=f"item-{draw.index}",
            image=np.ascontiguousarray(image, np.float32),
            target={"label": np.asarray(draw.index % 2, np.int64)},
            mean=np.zeros(2, np.float32),
            std=np.ones(2, np.float32),
        )


@dataclass(frozen=True)
class Shuffled:
    """Every item once an epoch, in an order of the epoch's own."""

    size: int

    def __len__(self) -> int:
        return self.size

    def epoch(self, epoch: int, generator: np.random.Generator) -> Iterator[tuple[int, Cut | None]]:
        del epoch
        return ((int(index), None) for index in generator.permutation(self.size))


class TinyTask(Task):
    """A convolution with BatchNorm and dropout, or without both."""

    def __init__(self, *, is_plain: bool = False) -> None:
        super().__init__(SPEC)
        between = [] if is_plain else [nn.BatchNorm2d(4), nn.Dropout(0.3)]
        self.model = nn.Sequential(
            nn.Conv2d(2, 4, 3), *between, nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
        )

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        del progress
        logits = self.model(batch.image)
        return {
            "ce": nn.functional.cross_entropy(logits, batch.target["label"]),
            "size": 0.01 * logits.square().mean(),
        }

    def outputs(self, batch: Batch) -> Outputs:
        return Outputs(logits=self.model(batch.image))

    def panels(self, batch: Batch, outputs: Outputs) -> list[np.ndarray]:
        del outputs
        return [np.zeros((4, 4, 3), np.uint8) for _ in batch.ids]


class Accuracy:
    """The share of right answers."""

    def __init__(self) -> None:
        self.right: list[Tensor] = []

    def update(self, outputs: Outputs, batch: Batch) -> None:
        assert outputs.logits is not None
        self.right.append((outputs.logits.argmax(1) == batch.target["label"]).cpu())

    def state(self) -> tuple[int, int]:
        right = torch.cat([torch.zeros(0, dtype=torch.bool), *self.right])
        return int(right.sum()), len(right)

    def compute(self, states: list[tuple[int, int]]) -> dict[str, float]:
        return {"accuracy": sum(s[0] for s in states) / sum(s[1] for s in states)}


def tiny_run(
    folder: Path | None = None,
    *,
    workers: int = 0,
    train_split: TinySplit | None = None,
    batch_size: int = 2,
    accumulate: int = 2,
    drop_last: bool = False,
    optimizer: str = "adamw",
    is_plain: bool = False,
    plan: dict[str, Any] | None = None,
    **changes: Any,
) -> Run:
    """Return a run of 9 steps over 3 epochs of 6 batches, evaluated every epoch."""
    torch.manual_seed(5)
    task = TinyTask(is_plain=is_plain).to(changes.get("device", "cpu"))
    split = train_split or TinySplit()
    sampler = Shuffled(len(split))
    length = {} if plan and "steps" in plan else {"epochs": 3}
    course = {**length, "log_every": 2, **(plan or {})}
    kinds = {
        "adamw": partial(torch.optim.AdamW, lr=0.01, fused=True),
        "sgd": partial(torch.optim.SGD, lr=0.05, fused=True),
        "unfused": partial(torch.optim.AdamW, lr=0.01, foreach=True),
    }
    made = kinds[optimizer](
        [{"params": list(task.parameters()), "initial_lr": kinds[optimizer].keywords["lr"]}]
    )
    processes = changes.get("processes")
    rank, world = (processes.rank, processes.world) if processes else (0, 1)
    values: dict[str, Any] = {
        "task": task,
        "plan": make_plan(
            draws_per_epoch=len(sampler),
            batch_size=batch_size,
            accumulate=accumulate,
            drop_last=drop_last,
            processes=world,
            **course,
        ),
        "groups": [TrainedGroup(made, lambda progress: 1 - progress.fraction / 2, clip_norm=1.0)],
        "train_batches": lambda start: train_loader(
            split,
            sampler,
            batch_size=batch_size,
            seed=7,
            start_batch=start,
            workers=workers,
            rank=rank,
            world=world,
            drop_last=drop_last,
        ),
        "val_batches": evaluation_loader(
            TinySplit(5), batch_size=2, workers=workers, rank=rank, world=world
        ),
        "metrics": lambda: [Accuracy()],
        "monitor": Monitor("val/loss", "min"),
        "checkpoints": folder,
        "ema_decay": None if is_plain else 0.9,
        "fingerprint": "tiny",
    }
    return Run(**{**values, **changes})
