"""Give an error raised while building a part the recipe's line that it is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from runner.errors import Problem, RunnerError
from runner.language.document import Key, dotted
from runner.language.overlay import Source


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
    if not section or key[0] in source.data:
        return replace(problem, place=str(source.place(key)))
    written = [each for each in source.places if each[:1] == (section,) and _ends(each, key)]
    found = min(written, key=len) if written else (section, *key)
    return replace(problem, place=str(source.place(found)), key=dotted(found))


def _ends(key: Key, tail: Key) -> bool:
    return key[-len(tail) :] == tail
