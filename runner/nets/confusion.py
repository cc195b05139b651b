"""Counts of true against predicted classes, with the figures that follow from them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from runner.contracts import IGNORE, Batch
from runner.task import Outputs


class ConfusionMatrix:
    """Counts pixels by true and predicted class; a Metric of a segmentation's logits.

    Ignored pixels, and all pixels of unlabelled samples, are not counted.
    """

    def __init__(
        self,
        classes: Sequence[str],
        rates: Mapping[str, Sequence[int]],
        means: Mapping[str, Sequence[int]] = {},  # noqa: B006 - a value; nobody writes to it
    ) -> None:
        """Start at zero.

        Args:
            classes: names, in the order of their indices.
            rates: name to true and predicted class index, of confusions to report.
            means: name to class indices whose mean IoU to report.
        """
        self._classes = tuple(classes)
        self._rates = dict(rates)
        self._means = dict(means)
        self._counts: Tensor | None = None

    def update(self, outputs: Outputs, batch: Batch) -> None:
        """Count a batch, on the device of its logits."""
        assert outputs.logits is not None, "a confusion matrix counts a segmentation's logits"
        # The logits of a volume too large for the device are on the CPU.
        device = outputs.logits.device
        mask = batch.target["mask"].to(device).long()
        is_labelled = batch.is_labelled.to(device).view(-1, *[1] * (mask.ndim - 1))
        counts = confusion_counts(outputs.logits, mask.masked_fill(~is_labelled, IGNORE))
        self._counts = counts if self._counts is None else self._counts + counts

    def state(self) -> Tensor:
        """Return the counts, (K, K) int64 on the CPU, rows by true class."""
        if self._counts is None:
            classes = len(self._classes)
            return torch.zeros(classes, classes, dtype=torch.int64)
        return self._counts.cpu()

    def compute(self, states: Sequence[Tensor]) -> dict[str, float]:
        """Return the figures of all processes' counts.

        A figure that does not exist has no key: the IoU of a class that is neither true nor
        predicted anywhere (it does not enter ``miou`` either), the accuracy of a class that is
        never true, the precision of one that is never predicted.
        """
        counts = torch.stack(list(states)).sum(0)
        return figures(counts, self._classes, self._rates, self._means)

    def why_absent(self, name: str, states: Sequence[Tensor]) -> str | None:
        """Return what the split lacks for a figure; empty where only predictions lack it."""
        of = self._classes_of(name)
        true = torch.stack(list(states)).sum((0, 2))
        if not true.any() and (of is not None or not name):
            return "no pixel of the validation split has a class, all are ignored or unlabelled"
        if of is None:
            return None
        lacking = [self._classes[index] for index in of if not true[index]]
        if len(lacking) < len(of) or name.startswith("precision/"):
            return ""
        return f"no pixel of the validation split is {' or '.join(lacking)}"

    def _classes_of(self, name: str) -> Sequence[int] | None:
        """Return the true classes that a figure is of; None for one that is never given."""
        kind, _, own = name.partition("/")
        if kind in ("iou", "accuracy", "precision") and own in self._classes:
            return [self._classes.index(own)]
        if name in self._rates:
            return self._rates[name][:1]
        if name in ("miou", "pixel_accuracy"):
            return range(len(self._classes))
        return self._means.get(own) if kind == "miou" else None


def confusion_counts(logits: Tensor, mask: Tensor) -> Tensor:
    """Return how many pixels of each true class are predicted as each class.

    Args:
        logits: (B, K, *spatial).
        mask: (B, *spatial) int64; 255 is not counted.
    Returns: (K, K) int64, rows by true class.
    """
    classes = logits.shape[1]
    # On a CPU max finds the class ten times faster than argmax.
    predicted = logits.max(1).indices
    # What is ignored has a row of its own: to leave it out before would wait for the device.
    row = mask.masked_fill(mask == IGNORE, classes)
    counts = count_codes((row * classes + predicted).flatten(1), (classes + 1) * classes)
    return counts.view(classes + 1, classes)[:classes]


def mean_iou(counts: Tensor) -> Tensor:
    """Return the mean IoU of the classes that occur, NaN where none does; stays on the device.

    Args:
        counts: (K, K) int64, rows by true class, columns by predicted class.
    """
    hits = counts.diagonal()
    # 0 / 0, of a class that is neither true nor predicted, is NaN and is left out.
    return (hits / (counts.sum(0) + counts.sum(1) - hits)).nanmean()


def count_codes(codes: Tensor, bins: int) -> Tensor:
    """Return how often each code occurs.

    Args:
        codes: (B, N) int64 in [0, bins).
        bins: number of codes.
    Returns: (bins,) int64.
    """
    if codes.device.type == "cuda":
        # There bincount waits for the device, to learn the largest code.
        return counts_without_waiting(codes, bins)
    return torch.bincount(codes.flatten(), minlength=bins)


def counts_without_waiting(codes: Tensor, bins: int) -> Tensor:
    """Return what ``count_codes`` does, by additions that a device can queue."""
    # Each sample has bins of its own: fewer additions meet in one place.
    samples = torch.arange(len(codes), device=codes.device).unsqueeze(1)
    places = (codes + samples * bins).flatten()
    counts = torch.zeros(len(codes) * bins, dtype=torch.int64, device=codes.device)
    return counts.scatter_add_(0, places, torch.ones_like(places)).view(-1, bins).sum(0)


def figures(
    counts: Tensor,
    classes: Sequence[str],
    rates: Mapping[str, Sequence[int]],
    means: Mapping[str, Sequence[int]] = {},  # noqa: B006 - a value; nobody writes to it
) -> dict[str, float]:
    """Return IoU, accuracy (recall) and precision by class, their summary and the rates.

    Args:
        counts: (K, K) int64, rows by true class, columns by predicted class.
        classes: K names.
        rates: name to true and predicted class; the share of the true class's pixels that are
            predicted as the other.
        means: name to classes, whose mean IoU is reported.
    Returns: names and values in [0, 1], no unit.
    """
    table = counts.double()
    hits, true, predicted = table.diagonal(), table.sum(1), table.sum(0)
    found: dict[str, float] = {}

    def note(name: str, part: Tensor, whole: Tensor) -> None:
        if whole > 0:
            found[name] = float(part / whole)

    for index, name in enumerate(classes):
        note(f"iou/{name}", hits[index], true[index] + predicted[index] - hits[index])
        note(f"accuracy/{name}", hits[index], true[index])
        note(f"precision/{name}", hits[index], predicted[index])
    groups = {"miou": range(len(classes)), **{f"miou/{name}": own for name, own in means.items()}}
    for name, group in groups.items():
        ious = [found[key] for index in group if (key := f"iou/{classes[index]}") in found]
        if ious:
            found[name] = sum(ious) / len(ious)
    note("pixel_accuracy", hits.sum(), true.sum())
    for name, (truth, other) in rates.items():
        note(name, table[truth, other], true[truth])
    return found
