"""What travels from a dataset to a task: a draw, the sample it loads, the batch of samples.

Torch is not imported here: ``runner validate`` reads this module too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

IGNORE = 255
"""The mask value that no loss, metric or statistic counts."""


class Cut(Protocol):
    """Where a crop is taken; a sampler chooses it, a dataset carries it out in a worker."""

    def __call__(
        self, mask: np.ndarray, size: Sequence[int], generator: np.random.Generator
    ) -> tuple[int, ...]:
        """Return the first corner of the crop.

        Args:
            mask: (*spatial) class indices of the whole item, memory-mapped or in memory.
            size: edge lengths of the crop, none larger than the item's.
            generator: this draw's own.
        """
        ...


class Choose(Protocol):
    """How many of an item's objects are marked; a sampler chooses it, a dataset carries it out."""

    def __call__(self, objects: int, generator: np.random.Generator) -> int:
        """Return a number from 0 to ``objects``.

        Args:
            objects: that the item has.
            generator: this draw's own.
        """
        ...


Drawn = tuple[int, Cut | None] | tuple[int, Cut | None, Choose | None]
"""What a sampler says of a draw: the fields of ``Draw`` after its number."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample that a sampler asks a split for.

    Attributes:
        number: counts the draws of the whole run; with the seed it decides all that is random
            about the sample, so that an item that recurs is drawn anew and a resumed run
            draws what the undisturbed one would have drawn.
        index: which item of the split.
        cut: where to crop; the dataset's own rule (uniform) where None.
        choose: how many objects are marked; the dataset's own rule (uniform) where None.
        size_px: edge of the square that the crop is brought to, the same in all draws of a batch;
            None to leave it as it is cut.
    """

    number: int
    index: int
    cut: Cut | None = None
    choose: Choose | None = None
    size_px: int | None = None


@dataclass(frozen=True)
class Sample:
    """One item as a dataset returns it, in numpy, in the file's own dtype where it can be.

    Attributes:
        id: names it in findings and errors.
        image: (C, *spatial), uint8 or uint16 (float32 where the file is): normalised on the device.
        target: what the task reads: ``mask`` (*spatial) uint8; ``point`` (2,); ``boxes`` (N, 5).
        mean, std: (C,) float32, in the image's unit: the task computes (image - mean) / std.
        is_labelled: False where the target must not be trained on.
    """

    id: str
    image: np.ndarray
    target: Mapping[str, np.ndarray]
    mean: np.ndarray
    std: np.ndarray
    is_labelled: bool = True


@dataclass(frozen=True)
class Ragged:
    """Rows of a batch whose samples have different numbers of them, such as boxes.

    Attributes:
        values: (sum of counts, D), the samples' rows one after another.
        counts: (B,) int64.
        most: largest count, known without asking a device.
    """

    values: Tensor
    counts: Tensor
    most: int

    def to(self, device: Any, *, non_blocking: bool = False) -> Ragged:
        """Return it on another device."""
        return Ragged(
            self.values.to(device, non_blocking=non_blocking),
            self.counts.to(device, non_blocking=non_blocking),
            self.most,
        )

    def pin_memory(self) -> Ragged:
        """Return it in page-locked memory; called by the DataLoader."""
        return Ragged(self.values.pin_memory(), self.counts.pin_memory(), self.most)


@dataclass(frozen=True)
class Batch:
    """Samples of one forward pass.

    Attributes:
        ids: B names.
        image: (B, C, *spatial), the samples' dtype.
        target: name to (B, ...) tensor, or Ragged where the DataSpec says so.
        mean, std: (B, C) float32.
        is_labelled: (B,) bool.
    """

    ids: tuple[str, ...]
    image: Tensor
    target: Mapping[str, Any]
    mean: Tensor
    std: Tensor
    is_labelled: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: Any, *, non_blocking: bool = False) -> Batch:
        """Return it on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Return it in page-locked memory; called by the DataLoader."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change: Callable[[Any], Any]) -> Batch:
        moved = {
            each.name: change(getattr(self, each.name))
            for each in fields(self)
            if each.name not in ("ids", "target")
        }
        target = {name: change(value) for name, value in self.target.items()}
        return replace(self, target=target, **moved)
