"""A frozen copy of a network that follows it as an average of its weights."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from runner.nets.averaging import move_towards


class Teacher(nn.Module):
    """Averages a network's parameters, copies its buffers; always in evaluation mode.

    BatchNorm statistics are buffers: without them averaged weights meet those of the first step.
    Source: Tarvainen and Valpola 2017, with the ramp of the decay.

    Attributes:
        net: the copy; nothing of it is trained.
        decay: in [0, 1); approached as min(decay, (1 + t) / (10 + t)) after t steps.
        steps: t, scalar.
    """

    steps: Tensor

    def __init__(self, net: nn.Module, decay: float) -> None:
        super().__init__()
        self.net: Any = copy.deepcopy(net).requires_grad_(False)
        self.decay = decay
        self.register_buffer("steps", torch.zeros(()))
        self.eval()

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in evaluation mode, whatever the task around it does."""
        del mode
        return super().train(False)

    @torch.no_grad()
    def follow(self, net: nn.Module) -> None:
        """Move towards the network after a step of it; never waits for the device."""
        decay = ((1 + self.steps) / (10 + self.steps)).clamp(max=self.decay)
        move_towards([*self.net.parameters()], [*net.parameters()], 1 - decay)
        for own, theirs in zip(self.net.buffers(), net.buffers(), strict=True):
            own.copy_(theirs)
        self.steps += 1
