"""Adversarial self-training: a discriminator says which predictions are good enough to learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from runner.contracts import Batch, DataSpec, Progress
from runner.nets.confusion import confusion_counts, mean_iou
from runner.nets.discriminator import Discriminator
from runner.nets.pseudo_labels import PseudoLabels, of_pixels
from runner.task import Group, Outputs, Task, normalised
from runner.tasks.segmentation import Segmentation, labelled_mask
from runner.tasks.step_figures import StepFigures


@dataclass(frozen=True)
class Weights:
    """What the generator's terms weigh, beside those of true labels.

    Attributes:
        matching: of the distance between the mean features of true and of predicted masks.
        pseudo: of the loss of images whose prediction is taken for a true mask.
    """

    matching: float
    pseudo: float


class Adversarial(Task):
    """Trains a segmentation against a discriminator of true and predicted masks (S4GAN).

    The generator sees the discriminator through detached parameters, the discriminator the
    predictions detached: one backward pass of the summed terms is right for both.

    Source: Mittal et al. 2019, equations 1 to 4; both are stepped at once rather than in turns.

    Attributes:
        task: the generator.
        discriminator: of masks beside their images.
        optimizer: part that trains it, in place of the recipe's.
        weights: of the generator's terms.
        threshold: probability of being a true mask above which an image's labels are believed.
        start_step: of the plan as written; before it they weigh nothing.
    """

    def __init__(
        self,
        spec: DataSpec,
        task: Segmentation,
        discriminator: Discriminator,
        *,
        optimizer: Any,
        weights: Weights,
        threshold: float,
        start_step: int,
    ) -> None:
        super().__init__(spec)
        self.task = task
        self.discriminator = discriminator
        self.weights = weights
        self.threshold = threshold
        self.start_step = start_step
        self.optimizer = optimizer
        self._figures = StepFigures("pseudo/count", "pseudo/images")

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the generator's terms and ``discriminator``, each reaching its own weights."""
        truth = labelled_mask(batch)
        predicted = self.task.predicted(batch)
        logits = predicted[0] if isinstance(predicted, tuple) else predicted
        probability = logits.float().softmax(1)
        image, labelled = normalised(batch), batch.is_labelled

        real, of_real = self.discriminator(self._one_hot(truth), image)
        _, of_fake = self.discriminator(probability.detach(), image)
        fixed = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        fake, seen = functional_call(self.discriminator, fixed, (probability, image))

        labels = self._pseudo_labels(probability.detach(), seen.detach(), labelled)
        terms = self.task.terms(predicted, truth)
        terms["matching"] = self.weights.matching * _distance(real.detach(), fake, labelled)
        weight = self.weights.pseudo if progress.step >= self.start_step else 0.0
        for name, term in self.task.terms(predicted, labels.mask).items():
            terms[f"pseudo/{name}"] = weight * term
        terms["discriminator"] = _two_sided(of_real, of_fake, labelled)
        figures = {
            **labels.figures(batch.target["mask"].long(), self.spec.classes),
            "pseudo/images": labels.is_accepted.flatten(1).any(1).sum(),
            "discriminator/accuracy": _accuracy(of_real, of_fake, labelled),
            "miou": mean_iou(confusion_counts(logits.detach(), truth)),
        }
        self._figures.note(figures)
        return terms

    def groups(self) -> dict[str, Group]:
        """Return the generator, which the recipe's optimizer trains, and the discriminator."""
        named: dict[str, list[Any]] = {"generator": [], "discriminator": []}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                is_own = name.startswith("discriminator.")
                named["discriminator" if is_own else "generator"].append((name, parameter))
        return {
            "generator": Group(named["generator"]),
            "discriminator": Group(named["discriminator"], self.optimizer),
        }

    def figures(self) -> Mapping[str, Tensor]:
        """Return how pseudo-labels and the discriminator do, and ``miou`` of labelled pixels."""
        return self._figures.take()

    def after_step(self, progress: Progress) -> None:
        """Let the segmentation follow."""
        self.task.after_step(progress)

    def outputs(self, batch: Batch) -> Outputs:
        """Return the segmentation's."""
        return self.task.outputs(batch)

    def assess(self, batch: Batch, progress: Progress) -> tuple[dict[str, Tensor], Outputs]:
        """Return the segmentation's losses and outputs, on true labels."""
        return self.task.assess(batch, progress)

    def panels(self, batch: Batch, outputs: Outputs) -> Sequence[np.ndarray]:
        """Return the segmentation's."""
        return self.task.panels(batch, outputs)

    def _pseudo_labels(
        self, probability: Tensor, seen: Tensor, is_labelled: Tensor
    ) -> PseudoLabels:
        """Return the likeliest classes, believed where the whole image is taken for a true mask."""
        classes = probability.max(1).indices
        is_believed = ~is_labelled & (seen.sigmoid() > self.threshold)
        return PseudoLabels(
            classes, of_pixels(is_believed, classes).expand_as(classes), is_labelled
        )

    def _one_hot(self, mask: Tensor) -> Tensor:
        """Return (B, K, H, W) float; no class at all where the mask is ignored."""
        classes = torch.arange(len(self.spec.classes), device=mask.device).view(1, -1, 1, 1)
        return (mask.unsqueeze(1) == classes).float()


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen samples' values, (B, ...) to (...); 0 where there is none."""
    weight = of_pixels(chosen, values).to(values.dtype)
    mean: Tensor = (values * weight).sum(0) / weight.sum().clamp(min=1)
    return mean


def _distance(real: Tensor, fake: Tensor, is_labelled: Tensor) -> Tensor:
    """Return the mean L1 distance of mean features (B, D); 0 where a batch lacks either kind."""
    has_both = is_labelled.any() & ~is_labelled.all()
    away = _mean_where(real, is_labelled) - _mean_where(fake, ~is_labelled)
    distance: Tensor = away.abs().mean() * has_both
    return distance


def _two_sided(of_real: Tensor, of_fake: Tensor, is_labelled: Tensor) -> Tensor:
    """Return the mean of the cross-entropies of true masks and of predicted ones, in nats."""
    missed, fooled = F.softplus(-of_real.float()), F.softplus(of_fake.float())
    return (_mean_where(missed, is_labelled) + _mean_where(fooled, ~is_labelled)) / 2


def _accuracy(of_real: Tensor, of_fake: Tensor, is_labelled: Tensor) -> Tensor:
    """Return the share of right answers, in [0, 1]."""
    return torch.where(is_labelled, of_real > 0, of_fake <= 0).float().mean()
