"""What differs between two resolved recipes; a part swapped for another is one difference."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.language.document import Key, dotted
from runner.language.overlay import swaps_part
from runner.language.recipe import Recipe

Kind = Literal["changed", "added", "removed", "swapped"]

NOT_COMPARED = (
    *("schema", "name", "version", "extends", "summary", "changes", "observed", "allow", "scale"),
    *("sample", "smoke"),
)
"""What a recipe says of itself, and the blocks that all versions of a scenario share."""

HARDLY = 0.2
"""A batch that grows or shrinks by less than this share trains as before."""


@dataclass(frozen=True)
class Difference:
    """One key whose value differs.

    Attributes:
        key: of the value, or of the part where one was swapped for another.
        kind: what happened to it.
        before, after: plain data; None where it was added or removed.
    """

    key: Key
    kind: Kind
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        return dotted(self.key)


def differences(before: Recipe, after: Recipe) -> list[Difference]:
    """Return what differs, in the order of the recipe's keys."""
    return list(_compare(comparable(before), comparable(after), ()))


def comparable(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's resolved values without what it says of itself."""
    return {key: value for key, value in recipe.dump().items() if key not in NOT_COMPARED}


def _compare(before: Any, after: Any, key: Key) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        if swaps_part(before, after):
            yield Difference(key, "swapped", before, after)
            return
        for name in dict.fromkeys((*before, *after)):
            child = (*key, name)
            if name not in after:
                yield Difference(child, "removed", before[name])
            elif name not in before:
                yield Difference(child, "added", None, after[name])
            else:
                yield from _compare(before[name], after[name], child)
    elif before != after or type(before) is not type(after):
        yield Difference(key, "changed", before, after)
