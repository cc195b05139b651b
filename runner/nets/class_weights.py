"""Figures that a recipe gives by class, in the order of the classes' indices; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from runner.by_class import (
    confused_classes,
    figures_of_classes,
    grouped_classes,
    weights_of_classes,
)
from runner.errors import DataError, Problem, RecipeError

if TYPE_CHECKING:
    from runner.contracts import DataSpec


def balanced_weights(counts: Sequence[float]) -> tuple[float, ...]:
    """Return the weight of each class under which all classes count alike.

    Args:
        counts: pixels of each class, none of them 0.
    Returns: total / (number of classes * count), no unit; 1 everywhere where the counts are equal.
    Raises: ValueError: a class has no pixel, so no finite weight balances it.
    """
    empty = [index for index, count in enumerate(counts) if count <= 0]
    if empty:
        raise ValueError(f"classes {empty} have no pixel; no finite weight balances them")
    return tuple(sum(counts) / (len(counts) * count) for count in counts)


def class_weights(
    weights: Literal["from_data"] | Mapping[str, float] | Sequence[float],
    spec: DataSpec,
    *,
    key: str,
) -> tuple[float, ...]:
    """Return one weight for each class.

    Args:
        weights: ``from_data`` (balanced over the training split), by class name, or in the order
            of the classes.
        spec: of the data the weights are for.
        key: the recipe's parameter, named in errors.

    Raises:
        RecipeError: not one weight for each class.
        DataError: the training split lacks a class that is to be balanced.
    """
    if isinstance(weights, str):
        return _measured_weights(spec, key=key)
    _refuse(weights_of_classes(weights, spec.classes, key))
    if isinstance(weights, Mapping):
        return tuple(float(weights[name]) for name in spec.classes)
    return tuple(map(float, weights))


def figures_by_class(
    figures: Mapping[str, float], spec: DataSpec, *, key: str, what: str
) -> tuple[float, ...]:
    """Return a figure for each class, in the order of the classes.

    Args:
        figures: by class name.
        spec: of the data whose classes are named.
        key: the recipe's parameter, and ``what`` it gives each class, named in errors.
        what: such as ``weight``.
    Raises: RecipeError: a class has none, or a name is no class.
    """
    _refuse(figures_of_classes(what)(figures, spec.classes, key))
    return tuple(float(figures[name]) for name in spec.classes)


def penalty_matrix(
    penalties: Mapping[str, Mapping[str, float]], spec: DataSpec, *, key: str
) -> list[list[float]]:
    """Return the factor of each confusion, rows by true and columns by predicted class.

    Args:
        penalties: true class to predicted class to factor; 1 where nothing is written.
        spec: of the data whose classes are named.
        key: the recipe's parameter, named in errors.
    Raises: RecipeError: a name is no class of the data.
    """
    _refuse(confused_classes(penalties, spec.classes, key))
    return [
        [float(penalties.get(truth, {}).get(predicted, 1.0)) for predicted in spec.classes]
        for truth in spec.classes
    ]


def class_groups(
    groups: Mapping[str, Sequence[str]], spec: DataSpec, *, key: str
) -> dict[str, tuple[int, ...]]:
    """Return named groups of classes as groups of class indices.

    Raises: RecipeError: a name is no class of the data.
    """
    _refuse(grouped_classes(groups, spec.classes, key))
    index = {name: position for position, name in enumerate(spec.classes)}
    return {name: tuple(index[each] for each in group) for name, group in groups.items()}


def _measured_weights(spec: DataSpec, *, key: str) -> tuple[float, ...]:
    if "class_pixels" not in {*spec.measured.values, *spec.measured.measure}:
        message = "this data set does not count its class pixels; write the weights as a list"
        raise RecipeError(Problem("", key, message))
    counts = spec.measured["class_pixels"]
    assert len(counts) == len(spec.classes), (counts, spec.classes)
    problems = [
        Problem(
            "training split",
            key,
            f"class {name!r} has no pixel, so no finite weight balances it; map it to another "
            "class (255 is ignored in masks of class indices), split the data anew, or write the "
            "weights as a list",
        )
        for name, count in zip(spec.classes, counts, strict=True)
        if count <= 0
    ]
    if problems:
        raise DataError(problems)
    return balanced_weights(counts)


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise RecipeError(problems)
