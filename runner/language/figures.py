"""Whether what a recipe monitors, expects and watches is measured at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from runner.errors import Problem
from runner.language.document import Key, dotted
from runner.language.overlay import Source, value_at
from runner.language.recipe import Recipe
from runner.registry import suggestion
from runner.rules import Rule

Names = Sequence[str] | None
"""What a part gives, without ``val/`` or ``train/``; None where it does not say."""

OF_EVERY_STEP = ("loss", "loss/*", "lr", "lr/*", "grad_norm", "grad_norm/*")
"""What the loop itself logs; which terms a loss has, only the loss knows."""


def misnamed(
    source: Source,
    recipe: Recipe,
    given: Sequence[Names],
    of_task: Names,
    rules: Iterable[tuple[str, Any]],
) -> list[Problem]:
    """Return a problem for each figure that a recipe speaks of and nothing in it gives.

    Args:
        source: of the recipe, which has the place of every key.
        recipe: at the scale that it is looked at.
        given: by each of its metrics; ``*`` may stand for any class.
        of_task: what its task gives beside losses.
        rules: name and rule of the health rules in force.
    """
    names: dict[str, Names] = {
        "val": _all(("loss",), *given), "train": _all(OF_EVERY_STEP, of_task)
    }  # fmt: skip
    problems = []
    for key, name in _asked_for(recipe, rules):
        kind = name.partition("/")[0]
        kinds = [kind] if kind in names else list(names)
        if any(names[each] is None for each in kinds):
            continue
        known = [f"{each}/{own}" for each in kinds for own in names[each] or ()]
        if name not in known and not any(_is_meant(name, each) for each in known):
            who = {"val": "no metric of this recipe", "train": "the task of this recipe never"}
            message = f"{who.get(kind, 'nothing in this recipe')} gives {name}"
            near = suggestion(name if kind in names else f"val/{name}", dict.fromkeys(known))
            place = _named_at(source, key, name)
            problems.append(Problem("", dotted(place), f"{message}; {near}"))
    return problems


def named_twice(given: Sequence[Names]) -> list[Problem]:
    """Return a problem for each metric that gives a figure of one before it."""
    seen: dict[str, int] = {"loss": -1}
    problems = []
    for number, names in enumerate(given):
        twice = [name for name in names or () if name in seen]
        if twice:
            others = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
            first = seen[twice[0]]
            who = f"metrics.{first}" if first >= 0 else "the task"
            message = f"gives val/{twice[0]}{others}, as {who} does; remove one"
            problems.append(Problem("", f"metrics.{number}", message))
        seen = {**dict.fromkeys(names or (), number), **seen}
    return problems


def _all(*given: Names) -> Names:
    return None if None in given else [name for names in given for name in names or ()]


def _is_meant(asked: str, known: str) -> bool:
    """Whether a name, or a pattern of names, may mean one that is given, or a pattern of such."""
    return fnmatchcase(known, asked) or fnmatchcase(asked, known)


def _asked_for(recipe: Recipe, rules: Iterable[tuple[str, Any]]) -> Iterator[tuple[Key, str]]:
    """Yield every figure that the recipe speaks of, with its key or that of its health rule."""
    monitor = getattr(recipe, "monitor", None)
    if monitor is not None:
        yield ("monitor", "metric"), monitor.metric
    for number, expectation in enumerate(recipe.expect):
        if expectation.scale == recipe.scale:
            yield ("expect", number, "metric"), expectation.metric
    for name, rule in rules:
        for pattern in rule.reads if isinstance(rule, Rule) else ():
            yield ("health", name), pattern


def _named_at(source: Source, key: Key, figure: str) -> Key:
    """Return the key at or below ``key`` that a figure is written at: as the key, or its value."""
    for each in source.places:
        is_below = each[: len(key)] == key and len(each) > len(key)
        if is_below and figure in (each[-1], value_at(source.data, each)):
            return each
    return key
