"""Pointing at the objects of an image one after another, until done."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from runner.contracts import Batch, Loss, Progress
from runner.data.points.split import PointSpec
from runner.errors import Problem, RecipeError
from runner.nets.pointing.losses import PointLoss, done_loss, heatmap_loss
from runner.nets.pointing.network import Pointed
from runner.nets.reduction import mean_over_valid
from runner.task import Outputs, Task, named_terms, normalised
from runner.tasks.pointing_panels import panel
from runner.tasks.pointing_rollout import count_by_pointing
from runner.tasks.segmentation import is_channels_last

HEAD = "_head"
"""How the name of a module ends whose gradient is shown by itself."""


class Pointing(Task):
    """Trains a place against the next object's, and a done signal.

    Attributes:
        model: (B, 3, H, W) to Pointed.
        loss: of place, true place, and which samples count.
        loss_name: names its term.
        heatmap_weight: of the term of the heatmap whose mean the place is; 0 for none.
        done_weight: of the done signal's term.
        done_positive_weight: within it, of samples that are done.
        point_when_done: masked: no place is trained where nothing is left; centre: the middle is.
        count_limit: at so many objects counting ends.
    """

    def __init__(
        self,
        spec: PointSpec,
        model: nn.Module,
        loss: Loss,
        *,
        loss_name: str,
        heatmap_weight: float,
        done_weight: float,
        done_positive_weight: float,
        point_when_done: Literal["masked", "centre"],
        count_limit: int,
    ) -> None:
        super().__init__(spec)
        self.mark = spec.mark
        self.model = model
        self.loss = loss
        self.loss_name = loss_name
        self.heatmap_weight = heatmap_weight
        self.done_weight = done_weight
        self.done_positive_weight = done_positive_weight
        self.point_when_done = point_when_done
        self.count_limit = count_limit
        self._squared_error = PointLoss("mse")
        self._seen_mse: list[Tensor] = []

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        """Return the place's and the done signal's weighted terms."""
        del progress  # The losses are the same throughout the training.
        return self._terms(self._pointed(batch), batch)

    def outputs(self, batch: Batch) -> Outputs:
        """Return places and done logits, and counts where the batch asks for them."""
        return self._outputs(self._pointed(batch), batch)

    def assess(self, batch: Batch, progress: Progress) -> tuple[dict[str, Tensor], Outputs]:
        """Return losses and outputs of one prediction."""
        del progress
        pointed = self._pointed(batch)
        return self._terms(pointed, batch), self._outputs(pointed, batch)

    def figures(self) -> Mapping[str, Tensor]:
        """Return the step's mean squared error, whatever is trained, and the heads' gradients."""
        found: dict[str, Tensor] = {}
        if self._seen_mse:
            found["mse"] = torch.stack(self._seen_mse).mean()
            self._seen_mse.clear()
        for name, module in self.model.named_modules():
            gradients = [p.grad for p in module.parameters() if p.grad is not None]
            if name.endswith(HEAD) and gradients:
                norms = torch.stack(torch._foreach_norm(gradients))
                found[f"grad_norm/{name.split('.')[-1]}"] = torch.linalg.vector_norm(norms)
        return found

    def panels(self, batch: Batch, outputs: Outputs) -> Sequence[np.ndarray]:
        """Return each image with the true place, the predicted one, and the error between."""
        assert outputs.point is not None and outputs.done is not None, "it points"
        probability = outputs.done.sigmoid()
        names = ("point", "done", "source_px")
        rows = [batch.image, outputs.point, probability, *(batch.target[name] for name in names)]
        arrays = [row.float().cpu().numpy() for row in rows]
        arrays[0] = arrays[0].astype(np.uint8)
        return [panel(*each) for each in zip(*arrays, strict=True)]

    def _pointed(self, batch: Batch) -> Pointed:
        pointed: Pointed = self.model(normalised(batch, channels_last=is_channels_last(self.model)))
        return pointed

    def _terms(self, pointed: Pointed, batch: Batch) -> dict[str, Tensor]:
        target, is_done = batch.target["point"], batch.target["done"] > 0
        has_place = batch.is_labelled & ~is_done
        if torch.is_grad_enabled():
            apart = self._squared_error.per_sample(pointed.point.detach().float(), target)
            self._seen_mse.append(mean_over_valid(apart, has_place))
        counts = has_place if self.point_when_done == "masked" else batch.is_labelled
        terms = named_terms(self.loss_name, self.loss(pointed.point, target, counts))
        if self.heatmap_weight:
            term = heatmap_loss(self._heatmap(pointed), target, counts)
            terms["heatmap"] = self.heatmap_weight * term
        done = done_loss(
            pointed.done, batch.target["done"], batch.is_labelled, self.done_positive_weight
        )
        return {**terms, "done": self.done_weight * done}

    def _heatmap(self, pointed: Pointed) -> Tensor:
        if pointed.heatmap is None:
            message = "the model points without a heatmap; write head: heatmap, or remove this key"
            raise RecipeError(Problem("", "heatmap_weight", message))
        return pointed.heatmap

    def _outputs(self, pointed: Pointed, batch: Batch) -> Outputs:
        count = None
        is_counted = batch.target["is_counted"]
        if not torch.is_grad_enabled() and bool(is_counted.any()):
            count = count_by_pointing(self._pointed, batch, is_counted, self.mark, self.count_limit)
        return Outputs(point=pointed.point, done=pointed.done, count=count)
