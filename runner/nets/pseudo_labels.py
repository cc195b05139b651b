"""Labels that a model gives to pixels which nobody has labelled."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from runner.contracts import IGNORE
from runner.nets.confusion import count_codes


@dataclass(frozen=True)
class PseudoLabels:
    """What a model says of unlabelled pixels, and where it is believed.

    Attributes:
        classes: (B, *spatial) int64, the likeliest class of each pixel.
        is_accepted: (B, *spatial) bool; nowhere in a labelled sample.
        is_labelled: (B,) bool.
    """

    classes: Tensor
    is_accepted: Tensor
    is_labelled: Tensor

    @property
    def mask(self) -> Tensor:
        """The labels to train on, (B, *spatial) int64; 255 where they are not believed."""
        return self.classes.masked_fill(~self.is_accepted, IGNORE)

    def figures(self, truth: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Return how many labels are accepted and how many of those are right.

        Args:
            truth: (B, *spatial) int64; 255 where nobody knows, which no precision counts.
            names: of the classes, in the order of their indices.
        Returns: scalars on the device: ``pseudo/accepted``, a share of the unlabelled pixels,
            ``pseudo/count`` in pixels, ``pseudo/precision``; ``/<class>`` for each predicted
            class. A share of nothing is NaN.
        """
        is_known = truth != IGNORE
        is_right = truth == self.classes
        # Accepted pixels by class and by what is known of them; all others share the last code.
        code = 3 * self.classes + is_known + (is_known & is_right)
        rest = 3 * len(names)
        counts = count_codes(torch.where(self.is_accepted, code, rest).flatten(1), rest + 1)
        table = counts[:rest].view(-1, 3)
        accepted, known, right = table.sum(1), table[:, 1:].sum(1), table[:, 2]
        pixels = (~self.is_labelled).sum() * self.classes[0].numel()
        found = {
            "pseudo/accepted": accepted.sum() / pixels,
            "pseudo/count": accepted.sum(),
            "pseudo/precision": right.sum() / known.sum(),
        }
        for kind, values in (("accepted", accepted / pixels), ("precision", right / known)):
            found |= {f"pseudo/{kind}/{name}": v for name, v in zip(names, values, strict=True)}
        return found


def confident_labels(logits: Tensor, thresholds: Tensor, is_labelled: Tensor) -> PseudoLabels:
    """Return the likeliest classes, believed where likelier than the class's threshold.

    Args:
        logits: (B, K, *spatial); of a model of several heads their mean.
        thresholds: (K,) in [0, 1]; 0 accepts whatever is predicted as that class.
        is_labelled: (B,) bool; such samples need no pseudo-label.
    """
    probability = logits.detach().float().softmax(1)
    # On a CPU max finds the class ten times faster than argmax.
    confidence, classes = probability.max(1)
    is_accepted = (confidence > thresholds[classes]) & ~of_pixels(is_labelled, classes)
    return PseudoLabels(classes, is_accepted, is_labelled)


def of_pixels(of_samples: Tensor, pixels: Tensor) -> Tensor:
    """Return a value of each sample, (B,), as (B, 1, ...), to be laid over ``pixels``."""
    return of_samples.view(-1, *[1] * (pixels.ndim - 1))
