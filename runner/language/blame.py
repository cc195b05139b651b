"""Give an error raised while building a part the recipe's line that it is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from runner.errors import Problem, RunnerError
from runner.language.document import Key, dotted
from runner.language.overlay import Source, value_at
from runner.language.plugins import is_own
from runner.registry import KINDS
from runner.signature import where_defined


@contextmanager
def blaming(source: Source, section: str = "") -> Iterator[None]:
    """Fill in file and line of problems that know only a key, or only a part's parameter.

    Args:
        source: of the recipe that is built.
        section: the recipe's key that is being built, such as ``task``; parameters of parts are
            looked for below it.
    Raises: RunnerError: of the same class, with the same problems, each with its place.
    """
    try:
        yield
    except RunnerError as error:
        located = [blame(source, problem, section) for problem in error.problems]
        if located == list(error.problems):
            raise
        raise type(error)(located) from error


def blame(source: Source, problem: Problem, section: str) -> Problem:
    """Return the problem with the line of its key, where it has a key and no place."""
    if problem.place or not problem.key:
        return problem
    key: Key = tuple(int(part) if part.isdigit() else part for part in problem.key.split("."))
    if section and key[0] not in source.data:
        written = [each for each in source.places if each[:1] == (section,) and _ends(each, key)]
        key = min(written, key=len) if written else (section, *key)
    message = problem.message + _whose(value_at(source.data, key))
    return replace(problem, place=str(source.place(key)), key=dotted(key), message=message)


def _whose(block: Any) -> str:
    """Return where a part of the user's own was written; empty for one of ours."""
    name = block.get("name") if isinstance(block, dict) else None
    for registry in KINDS.values():
        if isinstance(name, str) and name in list(registry):
            factory = registry[name].factory
            if is_own(factory):
                return f" ({name} is {where_defined(factory)})"
    return ""


def _ends(key: Key, tail: Key) -> bool:
    return key[-len(tail) :] == tail
