"""Figures of pointing: errors in pixels, the done signal, and counts."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.stats import rankdata
from torch import Tensor

from runner.contracts import Batch
from runner.task import Outputs

DONE_FROM = 0.5
"""Probability above which there is said to be nothing left."""


class Looked(NamedTuple):
    """What one process has seen.

    Attributes:
        steps: (N, 4) float64, of each scored step: whether it is done, predicted probability of
            that, error in pixels of the image, squared distance in squared units of the target.
        counts: (M, 2) int64, of each counted image: counted and true number of objects.
    """

    steps: Tensor
    counts: Tensor


class PointingScore:
    """Pixel errors, the done signal and counts; a Metric of points.

    Attributes:
        pck_px: distances within which a point counts as correct.
    """

    def __init__(self, pck_px: Sequence[float]) -> None:
        self.pck_px = tuple(pck_px)
        self._steps: list[Tensor] = []
        self._counts: list[Tensor] = []

    def update(self, outputs: Outputs, batch: Batch) -> None:
        """Keep a batch's figures, on its device."""
        assert outputs.point is not None and outputs.done is not None, "it is of pointed places"
        target = batch.target
        apart = outputs.point.double() - target["point"].double()
        error_px = (apart * target["source_px"].double()).norm(dim=1)
        of_done, probability = target["done"].double(), outputs.done.double().sigmoid()
        rows = [of_done, probability, error_px, apart.square().sum(1), batch.is_labelled.double()]
        self._steps.append(torch.stack(rows, 1))
        if outputs.count is not None:
            self._counts.append(torch.stack([outputs.count, target["objects"]], 1))

    def state(self) -> Looked:
        """Return what was kept, on the CPU."""
        steps = torch.cat(self._steps).cpu() if self._steps else torch.zeros(0, 5).double()
        counts = torch.cat(self._counts).cpu() if self._counts else torch.zeros(0, 2).long()
        return Looked(steps[steps[:, 4] > 0, :4], counts[counts[:, 0] >= 0])

    def compute(self, states: Sequence[Looked]) -> dict[str, float]:
        """Return the figures of all processes; one that does not exist has no key."""
        steps = torch.cat([state.steps for state in states])
        counts = torch.cat([state.counts for state in states]).double()
        is_done = steps[:, 0] > 0
        found: dict[str, float] = {}
        errors = steps[~is_done, 2]
        if len(errors):
            found["error_px/median"] = float(errors.median())
            found["error_px/mean"] = float(errors.mean())
            for limit in self.pck_px:
                found[f"pck@{limit:g}"] = float((errors <= limit).double().mean())
            found["mse"] = float(steps[~is_done, 3].mean())
        found |= done_figures(steps[:, 1], is_done)
        if len(counts):
            off = counts[:, 0] - counts[:, 1]
            found["count_mae"] = float(off.abs().mean())
            found["count_bias"] = float(off.mean())
            middle = counts[:, 1].mean()
            found["count_mae_of_mean"] = float((counts[:, 1] - middle).abs().mean())
        return found

    def why_absent(self, name: str, states: Sequence[Looked]) -> str | None:
        """Return what the evaluation lacks for a figure; None for one that is never given."""
        if not name:
            return "no step of the validation split is labelled"
        if name.startswith("count_"):
            return "no image's objects were counted (data.params.counted_images says of how many)"
        if name.startswith("done/"):
            is_done = torch.cat([state.steps[:, 0] > 0 for state in states])
            kind = "in which all is done" if not is_done.any() else "in which an object is left"
            return f"no step of the validation split is one {kind}"
        if name in ("mse", "error_px/median", "error_px/mean") or name.startswith("pck@"):
            return "no step of the validation split is one in which an object is left"
        return None


def done_figures(probability: Tensor, is_done: Tensor) -> dict[str, float]:
    """Return how well the done signal parts what is done from what is not.

    Args:
        probability: (N,) predicted.
        is_done: (N,) bool.
    """
    found: dict[str, float] = {}
    if not len(is_done):
        return found
    said = probability > DONE_FROM
    true, missed, wrong = (
        int((a & b).sum()) for a, b in ((said, is_done), (~said, is_done), (said, ~is_done))
    )
    found["done/share"] = float(is_done.double().mean())
    found["done/largest"] = float(probability.max())
    if true + missed:
        found["done/recall"] = true / (true + missed)
        found["done/f1"] = 2 * true / (2 * true + missed + wrong)
    if len(is_done) > true + missed:
        found["done/false_positive"] = wrong / (len(is_done) - true - missed)
    area = auroc(probability, is_done)
    if not math.isnan(area):
        found["done/auroc"] = area
    return found


def auroc(score: Tensor, is_positive: Tensor) -> float:
    """Return the probability that a positive scores higher than a negative; ties count half.

    Source: Hanley and McNeil 1982; NaN where one of the two is missing.
    """
    positives, total = int(is_positive.sum()), len(score)
    if positives in (0, total):
        return math.nan
    ranks = torch.from_numpy(rankdata(score.numpy()))
    above = float(ranks[is_positive].sum()) - positives * (positives + 1) / 2
    return above / (positives * (total - positives))
