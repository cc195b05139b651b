"""What a lint is: a rule of thumb with the reason for it and the cure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runner.language.document import Key
from runner.language.lints.subject import Subject

Said = Iterator[tuple[Key, str]]
"""A key of the recipe and what is the matter with it, with the figures."""


@dataclass(frozen=True)
class Lint:
    """A rule of thumb.

    Attributes:
        name: by which a recipe allows it.
        summary: what it finds, in a line.
        reason: why that goes wrong.
        cure: what to write instead.
        check: a pure function of the recipe and of what was measured of its data.
        is_of_data: whether it is silent until the data are measured.
    """

    name: str
    summary: str
    reason: str
    cure: str
    check: Callable[[Subject], Said]
    is_of_data: bool


def lint(
    *, reason: str, cure: str, is_of_data: bool = False
) -> Callable[[Callable[[Subject], Said]], Lint]:
    """Make a lint of a function; its name becomes the lint's and its docstring the summary.

    Args:
        reason: why what it finds goes wrong; a clause that follows the message.
        cure: what to write instead.
        is_of_data: whether it needs figures of the data.
    """

    def make(check: Callable[[Subject], Said]) -> Lint:
        summary = (check.__doc__ or "").split("\n", 1)[0]
        return Lint(check.__name__, summary, reason, cure, check, is_of_data)

    return make


@dataclass(frozen=True)
class Concern:
    """What a lint says of a recipe.

    Attributes:
        recipe: its name.
        lint: the lint's name.
        place: ``file:line`` of the value.
        key: the value's, dotted.
        message: what is the matter, with the figures.
        reason: why that goes wrong.
        cure: what to write instead.
        allowed: why the recipe means it; empty where it does not say so.
    """

    recipe: str
    lint: str
    place: str
    key: str
    message: str
    reason: str
    cure: str
    allowed: str = ""

    def __str__(self) -> str:
        what = f"{self.place}: {self.key}: {self.lint}: {self.message}"
        if self.allowed:
            return f"{what} [allowed: {self.allowed}]"
        return f"{what}; {self.reason} ({self.cure})"
