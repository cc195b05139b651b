"""The exponential moving average of a task's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from runner.nets.averaging import move_towards


class Ema:
    """Averaged copies of the trained parameters, current copies of the floating-point buffers.

    BatchNorm statistics are buffers: without them averaged weights meet those of the first step.
    """

    def __init__(self, task: nn.Module, *, decay: float, evaluate: bool) -> None:
        """Start from the weights as they are.

        Args:
            task: whose weights to follow; on its device already.
            decay: in [0, 1); approached as min(decay, (1 + t) / (10 + t)) after t updates.
            evaluate: whether evaluations look at the averaged weights.
        """
        self.decay = decay
        self.evaluate = evaluate
        # A weight that is shared has several names in a state_dict, and is loaded under each.
        named = task.named_parameters(remove_duplicate=False)
        averaged = {name: p for name, p in named if p.requires_grad}
        # What is not saved (a table made from the settings) never changes, and has no checkpoint.
        saved = task.state_dict()
        copied = {
            name: buffer
            for name, buffer in task.named_buffers(remove_duplicate=False)
            if buffer.is_floating_point() and name in saved
        }
        self._live = [p.detach() for p in averaged.values()]
        self._live_buffers = list(copied.values())
        self._average = [p.clone() for p in self._live]
        self._buffers = [b.clone() for b in self._live_buffers]
        self._names = [*averaged, *copied]

    @torch.no_grad()
    def update(self, updates: int, is_applied: Tensor) -> None:
        """Move towards the current weights.

        Args:
            updates: steps done before this one.
            is_applied: scalar 0 or 1 on the device; where 0 nothing moves.
        """
        decay = min(self.decay, (1 + updates) / (10 + updates))
        move_towards(self._average, self._live, is_applied * (1 - decay))
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._live_buffers)

    @contextmanager
    def in_place_of_weights(self) -> Iterator[None]:
        """Put the averaged weights into the task for the length of a ``with`` block."""
        live = [*self._live, *self._live_buffers]
        kept = [tensor.clone() for tensor in live]
        with torch.no_grad():
            torch._foreach_copy_(live, [*self._average, *self._buffers])
            try:
                yield
            finally:
                torch._foreach_copy_(live, kept)

    def state_dict(self) -> dict[str, Any]:
        """Return names and averaged values, and whether they are what is evaluated."""
        values = dict(zip(self._names, [*self._average, *self._buffers], strict=True))
        return {"evaluate": self.evaluate, "weights": values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``state_dict`` returned."""
        weights = state["weights"]
        with torch.no_grad():
            for name, value in zip(self._names, [*self._average, *self._buffers], strict=True):
                value.copy_(weights[name])


def evaluated_weights(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the task's ``state_dict`` as evaluations saw it, from a checkpoint's state."""
    weights = dict(state["task"])
    ema = state["ema"]
    if ema is not None and ema["evaluate"]:
        weights |= {name: value for name, value in ema["weights"].items() if name in weights}
    return weights
