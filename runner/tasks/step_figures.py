"""Figures of a step that its batches, of which accumulation makes several, give one by one."""

from collections.abc import Mapping

import torch
from torch import Tensor


class StepFigures:
    """Gathers what each batch of a step gives until the loop asks for it."""

    def __init__(self, *counts: str) -> None:
        """Start with nothing.

        Args:
            counts: names of figures that are summed over the step's batches; of any other the mean
                over those that know it is taken, NaN being unknown.
        """
        self._counts = counts
        self._noted: list[Mapping[str, Tensor]] = []

    def note(self, figures: Mapping[str, Tensor]) -> None:
        """Add a batch's scalars, which stay on the device."""
        self._noted.append(figures)

    def take(self) -> Mapping[str, Tensor]:
        """Return the step's, and start anew."""
        noted, self._noted = self._noted, []
        if len(noted) < 2:
            return noted[0] if noted else {}
        names = dict.fromkeys(name for each in noted for name in each)
        return {name: self._of_step(name, [e[name] for e in noted if name in e]) for name in names}

    def _of_step(self, name: str, values: list[Tensor]) -> Tensor:
        stacked = torch.stack([value.detach().float() for value in values])
        return stacked.sum() if name in self._counts else stacked.nanmean()
