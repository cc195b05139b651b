"""What a scenario teaches the training loop; the loop knows nothing else about it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from runner.contracts import Batch, DataSpec, Progress
from runner.errors import Problem, RecipeError


@dataclass(frozen=True)
class Boxes:
    """The boxes predicted for one sample, the highest score first.

    Attributes:
        corners: (N, 4) x1, y1, x2, y2, pixels of the sample's image.
        scores: (N,) in [0, 1].
        classes: (N,) int64.
    """

    corners: Tensor
    scores: Tensor
    classes: Tensor


@dataclass(frozen=True)
class Outputs:
    """What a task predicts for a batch; each task fills in what it has.

    Attributes:
        logits: (B, K, *spatial) float, of a segmentation.
        boxes: of each sample, after non-maximum suppression, of a detection.
        scores: (B, A) before it: the best score of each of the A places that predict a box.
        point: (B, 2) float, x and y of the object pointed at, -1 and 1 being the image's edges.
        done: (B,) float, logit of there being no object left to point at.
        count: (B,) int64, objects counted by pointing until done; -1 where none were counted.
    """

    logits: Tensor | None = None
    boxes: Sequence[Boxes] | None = None
    scores: Tensor | None = None
    point: Tensor | None = None
    done: Tensor | None = None
    count: Tensor | None = None


@dataclass(frozen=True)
class Group:
    """Parameters that are trained together.

    Attributes:
        parameters: names, unique within the task, and parameters.
        optimizer, schedule, clip_norm: in place of the recipe's own, where not None; ``optimizer``
            and ``schedule`` are called as the factories of the registries of that name.
    """

    parameters: Sequence[tuple[str, nn.Parameter]]
    optimizer: Any = None
    schedule: Any = None
    clip_norm: float | None = None


class Task(nn.Module, ABC):
    """A model, its losses and its predictions, trained as one module.

    Whatever must survive a restart is a parameter or a buffer, so that ``state_dict`` alone
    saves and restores a task; whatever must be trained ``requires_grad``.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return weighted scalar terms; the loop descends their sum."""

    @abstractmethod
    def outputs(self, batch: Batch) -> Outputs:
        """Return predictions; called in evaluation mode and without gradients."""

    def forward(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return ``losses``: DistributedDataParallel synchronises what is called as forward."""
        return self.losses(batch, progress)

    def assess(self, batch: Batch, progress: Progress) -> tuple[dict[str, Tensor], Outputs]:
        """Return losses and outputs of a validation batch, by one forward where overridden."""
        return self.losses(batch, progress), self.outputs(batch)

    def figures(self) -> Mapping[str, Tensor]:
        """Return further scalars of a step by name, shown as ``train/<name>``; none by default.

        Called after the backward pass, before gradients are clipped.
        """
        return {}

    def after_step(self, progress: Progress) -> None:
        """Follow an optimizer step: a teacher, a ramp. Nothing by default."""

    def groups(self) -> dict[str, Group]:
        """Return the groups of parameters, each with an optimizer of its own; by default one."""
        trained = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        return {"": Group(trained)}

    def panels(self, batch: Batch, outputs: Outputs) -> Sequence[np.ndarray]:
        """Return a picture of each sample, (H, W, 3) uint8; none by default."""
        del batch, outputs
        return ()


def normalised(batch: Batch, *, channels_last: bool = False) -> Tensor:
    """Return the batch's images as the model takes them: (B, C, *spatial) float32.

    Images travel in the file's own dtype, a quarter of the bytes, and are normalised here,
    on the device.
    """
    shape = (*batch.mean.shape, *[1] * (batch.image.ndim - 2))
    image = (batch.image.float() - batch.mean.view(shape)) / batch.std.view(shape)
    if channels_last:
        kind = torch.channels_last if image.ndim == 4 else torch.channels_last_3d
        image = image.contiguous(memory_format=kind)
    return image


def named_terms(name: str, value: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a loss's terms by name; a loss that returns one scalar is a term of its own name.

    Raises: RecipeError: it returned something else.
    """
    terms = dict(value) if isinstance(value, Mapping) else {name: value}
    for term, each in terms.items():
        if not isinstance(each, Tensor) or each.ndim:
            what = f"a tensor {tuple(each.shape)}" if isinstance(each, Tensor) else repr(each)
            message = f"gave {what} for {term}; return a scalar tensor, or named scalar tensors"
            raise RecipeError(Problem("", "loss", message))
    return terms
