"""What a recipe says by class, held against the classes of its data; needs neither data nor torch.

A parameter that names classes, or gives a figure for each, says so in its annotation:
``alpha: Annotated[tuple[float, ...], WEIGHTS]``. ``runner validate`` then checks it where a recipe
tells its classes, and the factory by the same function once the data are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic_core import PydanticCustomError

from runner.errors import Problem
from runner.signature import suggestion

IGNORED = "ignore"
"""The name, in a written mapping, of what is no class."""


@dataclass(frozen=True)
class ByClass:
    """The mark of a parameter that speaks of classes.

    Attributes:
        misfits: value, classes in the order of their indices, and the parameter's key, to what
            does not fit; nothing for a value that names no class.
    """

    misfits: Callable[[Any, Sequence[str], str], list[Problem]]


Names = TypeVar("Names", bound=Sequence[str] | Mapping[str, Sequence[Any]] | None)


def named_once(classes: Names) -> Names:
    """Return the classes that a data set is given; each has a name, and what it holds, of its own.

    Args:
        classes: names; or each with its ids or colours, those of ``ignore`` being of no class.
    Raises: PydanticCustomError: none is named, or a name, an id or a colour stands twice.
    """
    if classes is None:
        return classes
    names = [name for name in classes if name != IGNORED or not isinstance(classes, Mapping)]
    wrong = [f"{name!r} stands twice; name each class once" for name in _twice(names)]
    if not names:
        wrong = ["names no class; name at least one"]
    if isinstance(classes, Mapping):
        holders: dict[Any, list[str]] = {}
        for name, sources in classes.items():
            for source in sources:
                holders.setdefault(source, []).append(name)
        for source, those in holders.items():
            if len(those) > 1:
                what = list(source) if isinstance(source, tuple) else source
                where = " and ".join(dict.fromkeys(those))
                wrong.append(f"{what} stands twice, in {where}; keep it in one class, once")
    if wrong:
        raise PydanticCustomError("classes", "{reason}", {"reason": "; ".join(wrong)})
    return classes


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def listed_classes(names: Sequence[str], classes: Sequence[str], key: str) -> list[Problem]:
    """Return a problem for each name of a list that is no class."""
    return [
        problem
        for place, name in enumerate(names)
        for problem in _unknown(name, classes, f"{key}.{place}")
    ]


def grouped_classes(
    groups: Mapping[str, Sequence[str]], classes: Sequence[str], key: str
) -> list[Problem]:
    """Return a problem for each name, in named groups of classes, that is no class."""
    return [
        problem
        for name, group in groups.items()
        for problem in listed_classes(group, classes, f"{key}.{name}")
    ]


def confused_classes(
    confusions: Mapping[str, Mapping[str, float]], classes: Sequence[str], key: str
) -> list[Problem]:
    """Return a problem for each true class, and each taken for it, that is no class."""
    return [
        problem
        for truth, row in confusions.items()
        for problem in (
            *_unknown(truth, classes, f"{key}.{truth}"),
            *_each_unknown(row, classes, f"{key}.{truth}"),
        )
    ]


def figures_of_classes(what: str) -> Callable[[Any, Sequence[str], str], list[Problem]]:
    """Return what finds misfits of figures by class name.

    Args:
        what: each class is given, such as ``weight``.
    """

    def misfits(figures: Any, classes: Sequence[str], key: str) -> list[Problem]:
        if not isinstance(figures, Mapping):
            return []  # one figure for all
        problems = [*_each_unknown(figures, classes, key)]
        if missing := [name for name in classes if name not in figures]:
            message = f"{', '.join(missing)}: no {what}; add it for each class"
            problems.append(Problem("", key, message))
        return problems

    return misfits


def weights_of_classes(weights: Any, classes: Sequence[str], key: str) -> list[Problem]:
    """Return what is wrong with weights by class name, or in the order of the classes."""
    if isinstance(weights, list | tuple) and len(weights) != len(classes):
        message = (
            f"{len(weights)} weights for {len(classes)} classes; "
            f"write one for each of {', '.join(classes)}"
        )
        return [Problem("", key, message)]
    return figures_of_classes("weight")(weights, classes, key)


def _each_unknown(names: Iterable[str], classes: Sequence[str], key: str) -> Iterator[Problem]:
    for name in names:
        yield from _unknown(name, classes, f"{key}.{name}")


def _unknown(name: str, classes: Sequence[str], key: str) -> Iterator[Problem]:
    if name not in classes:
        near = suggestion(name, dict.fromkeys(classes))
        listed = f" (classes: {', '.join(classes)})" if near.startswith("did you mean") else ""
        yield Problem("", key, f"no class is called {name!r}; {near}{listed}")


WEIGHTS = ByClass(weights_of_classes)
THRESHOLDS = ByClass(figures_of_classes("threshold"))
NAMES = ByClass(listed_classes)
GROUPS = ByClass(grouped_classes)
CONFUSIONS = ByClass(confused_classes)
