"""Losses of logits (B, K, *spatial) against a mask (B, *spatial) of class indices.

Pixels of 255 are ignored by all of them; where nothing else is left, the loss and its
gradient are exactly 0. They compute in float32 (float64 stays), whatever the model's dtype.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runner.contracts import IGNORE
from runner.nets.reduction import mean_over_valid, ratio_of_sums, summed_over_processes


def log_probabilities(logits: Tensor) -> Tensor:
    """Return the log softmax over classes, (B, K, *spatial), float32 or float64."""
    # Under autocast the logits are float16 or bfloat16: too coarse for a sum over pixels.
    return F.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), 1)


def class_or_first(mask: Tensor) -> Tensor:
    """Return the mask with class 0 where it is ignored, so that it can index."""
    return mask.masked_fill(mask == IGNORE, 0)


def cross_entropies(log_probability: Tensor, mask: Tensor) -> Tensor:
    """Return minus the log probability of each pixel's class.

    Args:
        log_probability: (B, K, *spatial).
        mask: (B, *spatial), int64; where it is 255 the value means nothing.
    Returns: (B, *spatial), in nats.
    """
    return -log_probability.gather(1, class_or_first(mask).unsqueeze(1)).squeeze(1)


def focal_factors(cross_entropy: Tensor, gamma: float) -> Tensor:
    """Return (1 - p)^gamma, p the probability of the true class.

    Args:
        cross_entropy: -ln p, any shape.
        gamma: not negative.
    Source: Lin et al. 2017, eq. 4.
    """
    # Where p rounds to 1 the derivative of a root would be infinite, hence the floor.
    return (-torch.expm1(-cross_entropy)).clamp(min=1e-12).pow(gamma)


def boundary_band(mask: Tensor, width_px: int) -> Tensor:
    """Return which pixels lie near a change of label.

    A change is seen where the 3-wide maximum of the labels differs from their minimum, that is
    from both sides; ignored pixels have no label.

    Args:
        mask: (B, *spatial), int64; 255 is ignored.
        width_px: to each side of the change, 1 or more (chessboard distance).
    Returns: (B, *spatial), bool; False where ignored.
    """
    pool = F.max_pool3d if mask.ndim == 4 else F.max_pool2d
    valid, label = mask != IGNORE, mask.unsqueeze(1).float()
    highest = pool(label.masked_fill(~valid.unsqueeze(1), -1), 3, 1, 1)
    lowest = -pool(-label, 3, 1, 1)  # 255 is above every label, so ignored pixels never win
    band = (highest > lowest).float()
    for _ in range(width_px - 1):
        band = pool(band, 3, 1, 1)
    return (band.squeeze(1) > 0) & valid


def soft_dice_loss(log_probability: Tensor, mask: Tensor, smooth: float) -> Tensor:
    """Return one minus the soft Dice overlap of the batch, averaged over classes.

    Args:
        log_probability: (B, K, *spatial).
        mask: (B, *spatial), int64; 255 is ignored.
        smooth: added to numerator and denominator, in pixels.
    Returns: scalar in [0, 1], no unit. 1 - mean of (2 Σpt + s) / (Σp + Σt + s), the sums over
        the pixels of all processes' batches.
    """
    axes = (0, *range(2, log_probability.ndim))
    valid = (mask != IGNORE).unsqueeze(1)
    shape = (1, -1, *[1] * (log_probability.ndim - 2))
    classes = torch.arange(log_probability.shape[1], device=mask.device).view(shape)
    truth = mask.unsqueeze(1) == classes
    probability = log_probability.exp().masked_fill(~valid, 0)
    sums = torch.stack(
        [
            probability.masked_fill(~truth, 0).sum(axes),
            probability.sum(axes),
            truth.sum(axes, dtype=probability.dtype),
        ]
    )
    overlap, predicted, true = summed_over_processes(sums)
    loss: Tensor = (1 - (2 * overlap + smooth) / (predicted + true + smooth)).mean()
    return loss


class Dice(nn.Module):
    """One minus the soft Dice overlap, summed over the batch, averaged over classes."""

    def __init__(self, smooth: float) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return a scalar in [0, 1], no unit."""
        return soft_dice_loss(log_probabilities(logits), mask, self.smooth)


class CrossEntropy(nn.Module):
    """Cross-entropy, weighted by class: the weighted mean, as ``torch.nn.CrossEntropyLoss``.

    Attributes:
        weights: (K,), no unit.
        label_smoothing: share of the target given to all classes alike.
    """

    weights: Tensor

    def __init__(self, weights: Sequence[float], label_smoothing: float) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32))
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return a scalar, in nats."""
        log_probability = log_probabilities(logits)
        valid, weights = mask != IGNORE, self.weights.to(log_probability.dtype)
        weight = weights[class_or_first(mask)].masked_fill(~valid, 0)
        value = weight * cross_entropies(log_probability, mask)
        if self.label_smoothing:
            of_class = weights.view(1, -1, *[1] * (logits.ndim - 2))
            spread = -(of_class * log_probability).mean(1).masked_fill(~valid, 0)
            value = (1 - self.label_smoothing) * value + self.label_smoothing * spread
        return ratio_of_sums(value.sum(), weight.sum())


class Focal(nn.Module):
    """Mean over valid pixels of alpha_y (1 - p)^gamma CE, p the probability of the class y.

    Source: Lin et al. 2017, eq. 5, with a softmax over K classes.

    Attributes:
        alpha: (K,), no unit.
        gamma: not negative; 0 is weighted cross-entropy over the number of pixels.
    """

    alpha: Tensor

    def __init__(self, alpha: Sequence[float], gamma: float) -> None:
        super().__init__()
        self.register_buffer("alpha", torch.tensor(alpha, dtype=torch.float32))
        self.gamma = gamma

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return a scalar, in nats."""
        cross_entropy = cross_entropies(log_probabilities(logits), mask)
        weight = self.alpha.to(cross_entropy.dtype)[class_or_first(mask)]
        value = weight * focal_factors(cross_entropy, self.gamma) * cross_entropy
        return mean_over_valid(value, mask != IGNORE)


class CombinedSafety(nn.Module):
    """Focal loss under confusion penalties, plus Dice, plus cross-entropy near boundaries.

    Attributes:
        factors: (K, K), weight of the true class (row) times penalty of predicting the column.
        gamma: of the focal term.
        dice_weight, boundary_weight: of the other two terms.
        smooth: of the Dice term, in pixels.
        boundary_px: width of the band to each side of a change of label.
    """

    factors: Tensor

    def __init__(
        self,
        weights: Sequence[float],
        penalties: Sequence[Sequence[float]],
        *,
        gamma: float,
        dice_weight: float,
        boundary_weight: float,
        boundary_px: int,
        smooth: float,
    ) -> None:
        super().__init__()
        factors = torch.tensor(weights).unsqueeze(1) * torch.tensor(penalties)
        self.register_buffer("factors", factors)
        self.gamma = gamma
        self.dice_weight = dice_weight
        self.boundary_weight = boundary_weight
        self.boundary_px = boundary_px
        self.smooth = smooth

    def forward(self, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the three terms, weighted."""
        log_probability = log_probabilities(logits)
        cross_entropy = cross_entropies(log_probability, mask)
        # The prediction only chooses a factor: no gradient goes through it. On a CPU max finds
        # it ten times faster than argmax.
        predicted = log_probability.detach().max(1).indices
        factor = self.factors.to(cross_entropy.dtype)[class_or_first(mask), predicted]
        focal = factor * focal_factors(cross_entropy, self.gamma) * cross_entropy
        band = boundary_band(mask, self.boundary_px)
        return {
            "safety_focal": mean_over_valid(focal, mask != IGNORE),
            "dice": self.dice_weight * soft_dice_loss(log_probability, mask, self.smooth),
            "boundary": self.boundary_weight * mean_over_valid(cross_entropy, band),
        }
