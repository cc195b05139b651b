"""Counts and figures of one class against the rest."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from runner.contracts import IGNORE, Batch
from runner.errors import Problem, RecipeError
from runner.nets.binary.losses import foreground_logit
from runner.task import Outputs


class Counted(NamedTuple):
    """What one process has counted, a row a batch.

    Attributes:
        voxels: (N, 6) int64: valid, truly foreground, predicted foreground, both; then all
            voxels of labelled samples, ignored ones too, and those of them predicted foreground.
        probability: (N, 2) float32: mean, and sum of squared deviations, of the predicted
            probability over valid voxels.
    """

    voxels: Tensor
    probability: Tensor


class BinaryOverlap:
    """Overlap of the foreground, and how much of it is predicted; a Metric of two logits.

    Unlabelled samples are left out.
    """

    def __init__(self, target: str) -> None:
        """Start at zero.

        Args:
            target: of the batch; what is compared with the prediction.
        """
        self._target = target
        self._voxels: list[Tensor] = []
        self._probability: list[Tensor] = []

    def update(self, outputs: Outputs, batch: Batch) -> None:
        """Count a batch, on the device of its logits."""
        assert outputs.logits is not None, "the overlap is of a segmentation's logits"
        logit = foreground_logit(outputs.logits)
        mask, is_labelled = scored_mask(batch, self._target, logit.device)
        valid, predicted, true = (mask != IGNORE) & is_labelled, logit > 0, mask == 1
        # A sum of booleans is of integers: exact, whatever the size of the volume.
        counts = [valid, valid & true, valid & predicted, valid & true & predicted]
        counts += [is_labelled.expand_as(mask), predicted & is_labelled]
        self._voxels.append(torch.stack([each.sum() for each in counts]))
        probability = logit.sigmoid()
        number = self._voxels[-1][0].clamp(min=1)
        mean = probability.masked_fill(~valid, 0).sum() / number
        squares = (probability - mean).square().masked_fill(~valid, 0).sum()
        self._probability.append(torch.stack([mean, squares]).float())

    def state(self) -> Counted:
        """Return the counts, on the CPU."""
        if not self._voxels:
            return Counted(torch.zeros(0, 6, dtype=torch.int64), torch.zeros(0, 2))
        return Counted(torch.stack(self._voxels).cpu(), torch.stack(self._probability).cpu())

    def compute(self, states: Sequence[Counted]) -> dict[str, float]:
        """Return the figures of all processes' counts; one that does not exist has no key."""
        voxels = torch.cat([state.voxels for state in states]).double()
        probability = torch.cat([state.probability for state in states]).double()
        valid, true, predicted, both, all_, predicted_of_all = voxels.sum(0).tolist()
        found: dict[str, float] = {}
        if true + predicted:
            found["dice"] = 2 * both / (true + predicted)
            found["iou"] = both / (true + predicted - both)
        if valid:
            found["foreground_share_predicted"] = predicted / valid
            found["foreground_share_labelled"] = true / valid
            found["probability_std"] = _deviation(voxels[:, 0], *probability.unbind(1))
        if all_:
            found["foreground_share_everywhere"] = predicted_of_all / all_
        return found

    def why_absent(self, name: str, states: Sequence[Counted]) -> str | None:
        """Return what the split lacks for a figure; None for one that is never given."""
        shares = ("foreground_share_predicted", "foreground_share_labelled", "probability_std")
        if name not in ("", "dice", "iou", "foreground_share_everywhere", *shares):
            return None
        if not sum(int(state.voxels[:, 0].sum()) for state in states):
            return "no voxel of the validation split has a class, all are ignored or unlabelled"
        return (
            "no voxel of the validation split is foreground, and none is predicted" if name else ""
        )


def scored_mask(batch: Batch, target: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return what a prediction is scored against.

    Args:
        batch: with the target.
        target: its name.
        device: of the prediction, which may be another than the batch's.
    Returns: (B, *spatial) int64, and whether a sample is labelled, (B, 1, ...) bool.
    Raises: RecipeError: the data set gives no such target.
    """
    if target not in batch.target:
        message = f"the data set gives no target {target!r}; name one of {', '.join(batch.target)}"
        raise RecipeError(Problem("", "target", message))
    mask: Tensor = batch.target[target].to(device).long()
    return mask, batch.is_labelled.to(device).view(-1, *[1] * (mask.ndim - 1))


def _deviation(sizes: Tensor, means: Tensor, squares: Tensor) -> float:
    """Return the standard deviation over all batches from those within them."""
    total = sizes.sum()
    mean = (sizes * means).sum() / total
    return sqrt(float((squares + sizes * (means - mean).square()).sum() / total))
