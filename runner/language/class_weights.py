"""What a loss's class weights make of the shares that the classes have in the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from runner.language.document import dotted
from runner.language.recipe import Recipe
from runner.language.walk import parts_of
from runner.nets.class_weights import balanced_weights
from runner.registry import KINDS, Part, datasets
from runner.statistics import Statistics

_WEIGHTS = ("alpha", "weights", "class_weights")
"""What losses call a weight for each class."""


@dataclass(frozen=True)
class WeightedClass:
    """A class as a loss weighs it.

    Attributes:
        name: of the class.
        weight: in the loss; None where it is taken from data that nobody has measured.
        share: of the data, in [0, 1]; None where it is not known.
        balanced: the weight under which all classes count alike.
        pull: its share of the loss's weight, summed over the data.
    """

    name: str
    weight: float | None
    share: float | None = None
    balanced: float | None = None
    pull: float | None = None


@dataclass(frozen=True)
class WeightTable:
    """The class weights of one loss, and what they make of the data."""

    key: str
    loss: str
    rows: tuple[WeightedClass, ...]

    @property
    def place(self) -> str:
        """Which of the recipe's losses it is, in words."""
        *_, above, term, _ = ("", *self.key.split("."))
        return f"the term {term}" if above == "terms" else "the loss"


def weight_tables(
    recipe: Recipe, statistics: Statistics | None, *, with_alike: bool = False
) -> list[WeightTable]:
    """Return a table for each loss that weighs classes.

    Args:
        recipe: whose losses.
        statistics: of its data; None where they have not been measured.
        with_alike: one also for each loss that could weigh classes, and was given no weights.
    """
    counts = trained_counts(recipe, statistics)
    known = list(KINDS["losses"])
    found = []
    for key, part in parts_of(recipe):
        if part.name in known and "loss" in key:
            found += [
                WeightTable(dotted(key), part.name, tuple(_rows(weights, counts)))
                for weights in _weights(part, _names(recipe, counts), counts, with_alike)
            ]
    return found


def _rows(
    weights: Mapping[str, float | None], counts: Mapping[str, float]
) -> Iterator[WeightedClass]:
    total, balanced = sum(counts.values()), _balanced(counts)
    pulls = {n: w * counts[n] for n, w in weights.items() if w is not None and n in counts}
    all_known = len(pulls) == len(weights) and sum(pulls.values()) > 0
    for name, weight in weights.items():
        count = counts.get(name)
        yield WeightedClass(
            name,
            weight,
            count / total if count is not None else None,
            balanced.get(name),
            pulls[name] / sum(pulls.values()) if all_known else None,
        )


def _weights(
    part: Part[Any], names: Sequence[str], counts: Mapping[str, float], with_alike: bool
) -> Iterator[dict[str, float | None]]:
    """Yield the weight of each class, where a loss has such."""
    params = dict(part.params)
    if part.name == "binary_focal":
        foreground = params["alpha"]
        background = foreground if params["alpha_mode"] == "constant" else 1 - foreground
        own = (background * params["background_weight"], foreground * params["foreground_weight"])
        yield dict(zip(_two(names), own, strict=True))
        return
    limit = params.get("max_alpha") or float("inf")
    for parameter in [name for name in _WEIGHTS if name in params]:
        written = params[parameter]
        if written is None and with_alike and _takes_list(part, parameter, len(names)):
            yield dict.fromkeys(names, 1.0)
        elif written == "from_data":
            measured = _balanced(counts)
            yield {n: min(measured[n], limit) if n in measured else None for n in names}
        elif isinstance(written, Mapping):
            yield {name: min(float(value), limit) for name, value in written.items()}
        elif isinstance(written, list | tuple):
            known = names if len(names) == len(written) else list(map(str, range(len(written))))
            yield {n: min(float(w), limit) for n, w in zip(known, written, strict=True)}


def _takes_list(part: Part[Any], parameter: str, classes: int) -> bool:
    """Whether a parameter may weigh each class: an ``alpha`` may be one number alone."""
    try:
        type(part.params).model_validate(
            {**part.params.model_dump(mode="json"), parameter: [1.0] * max(classes, 1)}
        )
    except ValidationError:
        return False
    return True


def _balanced(counts: Mapping[str, float]) -> dict[str, float]:
    """Return the weights under which all classes count alike; none where one does not occur."""
    if not counts or not all(counts.values()):
        return {}
    return dict(zip(counts, balanced_weights(list(counts.values())), strict=True))


def _two(names: Sequence[str]) -> Sequence[str]:
    return names if len(names) == 2 else ("background", "foreground")


def _names(recipe: Recipe, counts: Mapping[str, float]) -> list[str]:
    return list(counts or named_classes(recipe))


def named_classes(recipe: Recipe) -> list[str]:
    """Return the classes that a recipe itself names; none where its data tell them."""
    told = datasets.foretold(recipe.data, lambda: None)
    classes = getattr(recipe.data.params, "classes", None) if told is None else told
    return list(classes) if isinstance(classes, Mapping | list | tuple) else []


def trained_counts(recipe: Recipe, statistics: Statistics | None) -> dict[str, float]:
    """Return the units of each class as the recipe trains on them."""
    if statistics is None:
        return {}
    counts = dict(statistics.classes)
    policy = getattr(recipe.data.params, "label_policy", None)
    if policy == "merge_ignore" and not statistics.figures.get("merged_share"):
        # Measured with what is unlabelled left out; this recipe takes it for foreground.
        counts[list(counts)[-1]] += statistics.ignored
    return counts
