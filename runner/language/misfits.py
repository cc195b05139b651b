"""What a recipe says of classes and figures that it will not have, found without data and torch.

Where only the data tell the classes, or a part of the user's own does not say what it gives,
nothing is said of them here; the training finds it, once the data are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from runner.by_class import ByClass
from runner.errors import Problem, RecipeError, RunnerError
from runner.language.blame import blame
from runner.language.document import dotted
from runner.language.figures import misnamed, named_twice
from runner.language.folders import SAMPLE_PREFIX
from runner.language.machine import Machine, machine_in_use
from runner.language.overlay import Source
from runner.language.plugins import plugin_fault
from runner.language.recipe import Recipe
from runner.language.walk import parts_below
from runner.registry import datasets, metrics, tasks

_SPEAK_OF_CLASSES = ("task", "sampler", "metrics")

_UNKNOWN = ("*",)
"""Stands for the classes where nobody tells them."""


def misfits(
    recipe: Recipe, source: Source, machine: Callable[[], Machine] = machine_in_use
) -> list[Problem]:
    """Return what does not fit the recipe's own classes and figures.

    Args:
        recipe: at the scale that is looked at; of one that is wrong elsewhere, what can be read.
        source: it was read from.
        machine: tells the machine's profile, which may name the data's root.
    """
    classes = classes_of(recipe, machine)
    problems = [*_of_classes(recipe, classes)] if classes is not None else []
    rules, found = _built_rules(recipe)
    problems += found
    known = classes if classes is not None else _UNKNOWN
    parts = getattr(recipe, "metrics", [None])
    given = [metrics.foretold(part, known) if part is not None else None for part in parts]
    task = getattr(recipe, "task", None)
    of_task = tasks.foretold(task, known) if task is not None else None
    problems += [*named_twice(given), *misnamed(source, recipe, given, of_task, rules)]
    return [_located(source, each) for each in problems]


def classes_of(
    recipe: Recipe, machine: Callable[[], Machine] = machine_in_use
) -> tuple[str, ...] | None:
    """Return the classes of a recipe's data; None where only the data tell them.

    Args:
        recipe: whose data.
        machine: tells the machine's profile, which may name the data's root.
    """
    part = getattr(recipe, "data", None)
    if part is None:
        return None

    def root() -> Path | None:
        # What a sample holds may be another's with --data.
        if not recipe.root or recipe.root.startswith(SAMPLE_PREFIX):
            return None
        try:
            folder = machine().root(recipe.root)
        except RecipeError:
            return None
        return folder if folder.is_dir() else None

    classes: tuple[str, ...] | None = datasets.foretold(part, root)
    return classes


def _located(source: Source, problem: Problem) -> Problem:
    """Return the problem with its line, and what to do where that is a base's."""
    located = blame(source, problem, "health")
    file = located.place.rpartition(":")[0]
    is_own = not file or file == source.places[()].file or file.startswith("--set")
    if is_own or located.key == "--plugin":
        return located
    return replace(located, message=f"{located.message}; inherited: write it anew")


def _of_classes(recipe: Recipe, classes: Sequence[str]) -> Iterator[Problem]:
    for section in _SPEAK_OF_CLASSES:
        for key, part in parts_below(getattr(recipe, section, None), (section,)):
            for name, mark in _marks(type(part.params)):
                value = getattr(part.params, name)
                yield from mark.misfits(value, classes, dotted((*key, "params", name)))


@cache
def _marks(params: type[BaseModel]) -> list[tuple[str, ByClass]]:
    """Return the parameters of a kind of part that speak of classes, each with its mark."""
    return [
        (name, mark)
        for name, field in params.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, ByClass)
    ]


def _built_rules(recipe: Recipe) -> tuple[list[tuple[str, Any]], list[Problem]]:
    """Return name and health rule of those that hold for the scale, and what is wrong with them."""
    rules: list[tuple[str, Any]] = []
    problems: list[Problem] = []
    for name, rule in recipe.health.items():
        if rule is None or rule.scale not in (None, recipe.scale):
            continue
        try:
            rules.append((name, rule.part.build()))
        except RunnerError as error:
            problems += error.problems
        except Exception as error:
            fault = plugin_fault(error)
            if fault is None:
                raise
            problems += fault.problems
    return rules, problems
