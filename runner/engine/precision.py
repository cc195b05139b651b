"""The number formats of a training: autocast, and the loss scale that fp16 gradients need."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

from runner.errors import MachineError, Problem

Precision = Literal["fp32", "bf16", "fp16"]

_NO_CONTEXT: AbstractContextManager[None] = nullcontext()


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raise MachineError where the device cannot train in this precision."""
    cure = ""
    if precision == "fp16" and device.type != "cuda":
        cure = "fp16 needs a CUDA device; use train.precision: bf16 or fp32"
    elif (
        precision == "bf16"
        and device.type == "cuda"
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        cure = "this device has no bf16; use train.precision: fp16 or fp32"
    if cure:
        raise MachineError(Problem(str(device), "train.precision", cure))


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context that a forward pass runs in."""
    if precision == "fp32":
        return _NO_CONTEXT
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype)


class LossScale:
    """The factor that keeps fp16 gradients above underflow; found without waiting for the device.

    Unlike ``torch.amp.GradScaler`` it follows one decision for all optimizers of a step: that of
    the loop's guard, so that either every group of parameters is stepped or none is.
    """

    smallest = 1.0
    """Overflow below this scale is a fault of the training, not of the scale."""

    def __init__(self, device: torch.device, *, grows_every: int = 2000) -> None:
        self.value = torch.tensor(2.0**16, device=device)
        self._applied_steps = torch.tensor(0.0, device=device)
        self._grows_every = grows_every

    def update(self, skipped: Tensor) -> None:
        """Halve after a skipped step, double after ``grows_every`` applied ones in a row.

        Args:
            skipped: scalar 0 or 1 on the device.
        """
        applied = (self._applied_steps + 1) * (1 - skipped)
        grows = (applied >= self._grows_every).float()
        self.value *= (1 + grows) * (1 - 0.5 * skipped)
        self._applied_steps = applied * (1 - grows)

    def state_dict(self) -> dict[str, float]:
        """Return the scale and how long it has held."""
        return {"value": float(self.value), "applied_steps": float(self._applied_steps)}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Continue from what ``state_dict`` returned."""
        self.value.fill_(state["value"])
        self._applied_steps.fill_(state["applied_steps"])
