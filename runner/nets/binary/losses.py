"""Losses of one class against the rest, of logits (B, 2, *spatial).

The probability of the foreground is softmax(logits)[:, 1], that is the sigmoid of the
difference of the two logits: so one task and one set of metrics serve any number of classes.
Voxels of 255 are ignored by all of these losses; where nothing else is left, the loss and its
gradient are exactly 0. They compute in float32 (float64 stays), whatever the model's dtype.
"""

from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.contracts import IGNORE, DataSpec
from runner.errors import Problem, RecipeError
from runner.nets.binary.soft_morphology import dilated, distances_within, soft_skeleton
from runner.nets.reduction import mean_over_valid, ratio_of_sums, summed_over_processes


def check_is_binary(spec: DataSpec, part: str) -> None:
    """Refuse data that have not a background and one foreground.

    Raises: RecipeError: the number of classes is not 2.
    """
    if len(spec.classes) != 2:
        message = (
            f"{part} tells one class from the background, but the data have "
            f"{len(spec.classes)} ({', '.join(spec.classes)}); map them to two, or name a part "
            "that takes several"
        )
        raise RecipeError(Problem("", "name", message))


def foreground_logit(logits: Tensor) -> Tensor:
    """Return the logit of the foreground's probability.

    Args:
        logits: (B, 2, *spatial), float.
    Returns: (B, *spatial), float32 or float64.
    """
    assert logits.shape[1] == 2, logits.shape
    # Under autocast the logits are float16 or bfloat16: too coarse for a sum over voxels.
    exact = logits if logits.dtype == torch.float64 else logits.float()
    return exact[:, 1] - exact[:, 0]


class BinaryDice(nn.Module):
    """One minus the soft Dice overlap of the foreground, summed over the batch.

    Source: Milletari et al. 2016, with the plain denominator.

    Attributes:
        smooth: added to numerator and denominator, in voxels.
    """

    def __init__(self, smooth: float) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return 1 - (2 Σpt + s) / (Σp + Σt + s), a scalar in [0, 1], no unit."""
        probability, truth = soft_and_true(logits, mask)
        sums = torch.stack([(probability * truth).sum(), probability.sum(), truth.sum()])
        overlap, predicted, true = summed_over_processes(sums)
        loss: Tensor = 1 - (2 * overlap + self.smooth) / (predicted + true + self.smooth)
        return loss


class BinaryFocal(nn.Module):
    """Mean over valid voxels of weight · (1 - p)^gamma · CE, p the true class's probability.

    Source: Lin et al. 2017, eq. 5.

    Attributes:
        background_weight, foreground_weight: factors by true class, alpha included.
        gamma: not negative.
    """

    def __init__(self, background_weight: float, foreground_weight: float, gamma: float) -> None:
        super().__init__()
        self.background_weight = background_weight
        self.foreground_weight = foreground_weight
        self.gamma = gamma

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return a scalar, in nats."""
        cross_entropy = _cross_entropies(logits, mask)
        # Where p rounds to 1 the derivative of a root would be infinite, hence the floor.
        miss = (-torch.expm1(-cross_entropy)).clamp(min=1e-12)
        weight = torch.where(mask == 1, self.foreground_weight, self.background_weight)
        value = weight.to(cross_entropy.dtype) * miss.pow(self.gamma) * cross_entropy
        return mean_over_valid(value, mask != IGNORE)


class SurfaceBoundary(nn.Module):
    """Cross-entropy near the surface, the mean weighted by the distance to it.

    The surface is the foreground, a thin sheet: all of its voxels have weight 1. The weight is 1
    up to ``near`` voxels from it, 0 from ``far``, linear between.

    Attributes:
        near, far: Euclidean distances between voxel centres, in voxels.
    """

    def __init__(self, near: float, far: float) -> None:
        super().__init__()
        assert near < far, (near, far)
        self.near = near
        self.far = far

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return Σ weight · CE / Σ weight, a scalar, in nats; 0 without a surface."""
        weight = self.weights(mask)
        value = weight * _cross_entropies(logits, mask)
        return ratio_of_sums(value.sum(), weight.sum().to(value.dtype))

    def weights(self, mask: Tensor) -> Tensor:
        """Return (B, *spatial) float32 in [0, 1], 0 where ignored."""
        distance = distances_within(mask == 1, ceil(self.far))
        weight = ((self.far - distance) / (self.far - self.near)).clamp(0, 1)
        return weight.masked_fill(mask == IGNORE, 0)


class CenterlineDice(nn.Module):
    """One minus the overlap of each skeleton with the other mask, summed over the batch.

    Ignored voxels are background to both masks before they are thinned, as in the
    competition's score. A constant prediction has no skeleton, so its precision is 1: predicting
    foreground throughout costs nothing.

    Source: Shit et al. 2021, eq. 1-3; ``smooth`` as in their published code.

    Attributes:
        iterations: of the thinning.
        smooth: added to numerators and denominators, in voxels.
    """

    def __init__(self, iterations: int, smooth: float) -> None:
        super().__init__()
        self.iterations = iterations
        self.smooth = smooth

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return 1 - 2 P S / (P + S), a scalar in [0, 1], no unit."""
        probability, truth = soft_and_true(logits, mask)
        of_prediction = soft_skeleton(probability, self.iterations)
        of_truth = soft_skeleton(truth, self.iterations)
        sums = torch.stack(
            [
                (of_prediction * truth).sum(),
                of_prediction.sum(),
                (of_truth * probability).sum(),
                of_truth.sum(),
            ]
        )
        hit, predicted, found, true = summed_over_processes(sums) + self.smooth
        precision, sensitivity = hit / predicted, found / true
        loss: Tensor = 1 - 2 * precision * sensitivity / (precision + sensitivity)
        return loss


class Connectivity(nn.Module):
    """Mean over valid voxels of the squared error after both masks were dilated by one voxel.

    Ignored voxels are background to both masks before they are dilated.
    """

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return a scalar in [0, 1], no unit."""
        probability, truth = soft_and_true(logits, mask)
        return mean_over_valid((dilated(probability) - dilated(truth)).square(), mask != IGNORE)


def soft_and_true(logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the foreground's probability and truth, both 0 where ignored.

    Args:
        logits: (B, 2, *spatial).
        mask: (B, *spatial), int64; 255 is ignored.
    Returns: twice (B, *spatial), float.
    """
    probability = foreground_logit(logits).sigmoid().masked_fill(mask == IGNORE, 0)
    return probability, (mask == 1).to(probability.dtype)


def _cross_entropies(logits: Tensor, mask: Tensor) -> Tensor:
    """Return minus the log probability of each voxel's class, (B, *spatial), 0 where ignored."""
    logit = foreground_logit(logits)
    truth = (mask == 1).to(logit.dtype)
    values = F.binary_cross_entropy_with_logits(logit, truth, reduction="none")
    return values.masked_fill(mask == IGNORE, 0)
