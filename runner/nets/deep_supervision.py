"""The loss of a model that predicts at several resolutions."""

from collections.abc import Sequence

from torch import Tensor

from runner.contracts import Loss
from runner.task import named_terms


def supervision_weights(levels: int) -> list[float]:
    """Return the weight of each level, the finest first: halved from one to the next, sum 1.

    They sum to 1 so that the loss compares with that of a model of one resolution.

    Source: Isensee et al. 2021 (nnU-Net), supplementary note 2.
    """
    halved = [0.5**level for level in range(levels)]
    return [weight / sum(halved) for weight in halved]


def deeply_supervised_terms(
    name: str, loss: Loss, predictions: Sequence[Tensor], mask: Tensor
) -> dict[str, Tensor]:
    """Return a loss's terms, each the weighted sum over the levels.

    Args:
        name: of the term of a loss that has only one.
        loss: of logits and mask.
        predictions: logits (B, K, *spatial), the finest first.
        mask: (B, *spatial), int64; 255 is ignored.
    """
    total: dict[str, Tensor] = {}
    weights = supervision_weights(len(predictions))
    for weight, logits in zip(weights, predictions, strict=True):
        for term, value in named_terms(name, loss(logits, mask)).items():
            total[term] = total[term] + weight * value if term in total else weight * value
    return total
