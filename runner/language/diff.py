"""Two recipes side by side: what changed and why, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.language.differences import Difference, differences
from runner.language.facts import facts
from runner.language.load import Loaded
from runner.language.versions import groups_of


@dataclass(frozen=True)
class Group:
    """Differences that belong together.

    Attributes:
        because: the reason; empty where the recipe gives none.
        expected: what its author claimed.
        differences: in the order of the recipe's keys.
    """

    because: str
    expected: Mapping[str, Any]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Comparison:
    """Everything that ``runner diff`` shows.

    Attributes:
        before, after: names of the recipes.
        groups: in the order of ``changes``; what none explains comes last.
        consequences: name, before, after of the derived facts that differ.
    """

    before: str
    after: str
    groups: tuple[Group, ...]
    consequences: tuple[tuple[str, str, str], ...]


def compare(before: Loaded, after: Loaded) -> Comparison:
    """Compare two loaded recipes; reasons come from the second where it extends the first."""
    found = differences(before.recipe, after.recipe)
    extends = after.source.chain[-2:-1] == before.source.chain[-1:]
    by_group = groups_of(after, found) if extends else {-1: found}
    changes = after.recipe.changes
    groups = [
        Group(changes[number].because, changes[number].expected, tuple(by_group[number]))
        for number in sorted(by_group)
        if number >= 0
    ]
    if by_group.get(-1):
        groups.append(Group("", {}, tuple(by_group[-1])))
    earlier = {fact.name: fact.value for fact in facts(before.recipe)}
    later = {fact.name: fact.value for fact in facts(after.recipe)}
    consequences = tuple(
        (name, earlier.get(name, "-"), later.get(name, "-"))
        for name in dict.fromkeys((*earlier, *later))
        if earlier.get(name) != later.get(name)
    )
    return Comparison(before.name, after.name, tuple(groups), consequences)
