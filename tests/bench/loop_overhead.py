"""Print what the loop costs over a hand-written PyTorch loop of the same tiny step.

    python tests/bench/loop_overhead.py [BLOCKS]

Both train the same net on the same batch in one process, on one thread, and take turns every 50
steps, after which each reads its loss; what is told is the median of CPU time over the blocks, and
of the difference between neighbours. The hand-written loop guards against nothing.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from itertools import repeat

import torch
from torch import Tensor, nn

from runner.contracts import Batch, DataSpec, Progress
from runner.engine.loop import Monitor, Run, TrainedGroup, train
from runner.events import Stepped
from runner.plan import make_plan
from runner.task import Outputs, Task

LOG_EVERY, BATCH_SIZE = 50, 64


class Mlp(Task):
    """16-32-4, cross-entropy."""

    def __init__(self) -> None:
        super().__init__(DataSpec(classes=("a", "b", "c", "d")))
        self.model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the cross-entropy."""
        del progress
        logits = self.model(batch.image)
        return {"ce": nn.functional.cross_entropy(logits, batch.target["label"])}

    def outputs(self, batch: Batch) -> Outputs:
        """Return the logits."""
        return Outputs(logits=self.model(batch.image))


def resident_batch() -> Batch:
    """Return the one batch that every step descends."""
    torch.manual_seed(0)
    label = torch.randint(0, 4, (BATCH_SIZE,))
    return Batch(
        ids=tuple(map(str, range(BATCH_SIZE))),
        image=torch.randn(BATCH_SIZE, 16),
        target={"label": label},
        mean=torch.zeros(BATCH_SIZE, 16),
        std=torch.ones(BATCH_SIZE, 16),
        is_labelled=torch.ones(BATCH_SIZE, dtype=torch.bool),
    )


def optimizer_of(task: Mlp) -> torch.optim.Optimizer:
    """Return a fused AdamW."""
    groups = [{"params": list(task.parameters()), "initial_lr": 1e-3}]
    return torch.optim.AdamW(groups, lr=1e-3, fused=True)


def hand_written(batch: Batch, clip_norm: float | None) -> Iterator[None]:
    """Train without the loop; yield after each reading of the loss."""
    task = Mlp()
    optimizer = optimizer_of(task)
    parameters = list(task.parameters())
    losses: list[Tensor] = []
    while True:
        optimizer.zero_grad()
        logits = task.model(batch.image)
        loss = nn.functional.cross_entropy(logits, batch.target["label"])
        loss.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, clip_norm)
        optimizer.step()
        losses.append(loss.detach())
        if len(losses) == LOG_EVERY:
            torch.stack(losses).mean().item()
            losses.clear()
            yield


def by_the_loop(batch: Batch, clip_norm: float | None, blocks: int) -> Iterator[None]:
    """Train by the loop; yield after each logging step."""
    task = Mlp()
    steps = (blocks + 1) * LOG_EVERY
    plan = make_plan(
        draws_per_epoch=BATCH_SIZE * steps,
        batch_size=BATCH_SIZE,
        steps=steps,
        log_every=LOG_EVERY,
    )
    run = Run(
        task=task,
        plan=plan,
        groups=[TrainedGroup(optimizer_of(task), lambda _: 1.0, clip_norm)],
        train_batches=lambda _: repeat(batch),
        monitor=Monitor("val/loss", "min"),
    )
    for event in train(run):
        if isinstance(event, Stepped):
            yield


def step_us(training: Iterator[None]) -> float:
    """Train one block; return microseconds of CPU time a step."""
    started_s = time.process_time()
    next(training)
    return (time.process_time() - started_s) / LOG_EVERY * 1e6


def main(blocks: int) -> None:
    """Print one table, in microseconds a step."""
    torch.set_num_threads(1)
    batch = resident_batch()
    print(f"{'us a step':12}{'hand-written':>14}{'loop':>9}{'over':>9}")
    for name, clip_norm in (("clip 1.0", 1.0), ("no clip", None)):
        both = hand_written(batch, clip_norm), by_the_loop(batch, clip_norm, blocks)
        for training in both:
            next(training)
        pairs = [(step_us(both[0]), step_us(both[1])) for _ in range(blocks)]
        hand, loop = (statistics.median(column) for column in zip(*pairs, strict=True))
        over = statistics.median(loop_us - hand_us for hand_us, loop_us in pairs)
        print(f"{name:12}{hand:14.1f}{loop:9.1f}{over:+9.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
