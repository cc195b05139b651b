"""Losses that are trained together."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from runner.contracts import Loss
from runner.task import named_terms


class WeightedSum(nn.Module):
    """Named losses of the same prediction, each with its weight.

    Attributes:
        terms: name to weight and loss.
    """

    def __init__(self, terms: Mapping[str, tuple[float, Loss]]) -> None:
        super().__init__()
        self.terms = dict(terms)
        # In a list, as a recipe may call a term what a module calls a method of its own.
        self.modules_of_terms = nn.ModuleList(
            loss for _, loss in terms.values() if isinstance(loss, nn.Module)
        )

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Return each term weighted; the terms of a loss that has several as ``name/term``."""
        found: dict[str, Tensor] = {}
        for name, (weight, loss) in self.terms.items():
            value = loss(*args, **kwargs)
            if isinstance(value, Mapping):
                value = {f"{name}/{term}": part for term, part in value.items()}
            for term, part in named_terms(name, value).items():
                found[term] = weight * part
        return found
