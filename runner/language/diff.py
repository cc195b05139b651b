"""Two recipes side by side: what changed and why, and what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.language.class_weights import weight_tables
from runner.language.differences import HARDLY, Difference, differences
from runner.language.facts import facts
from runner.language.known import statistics_at_hand
from runner.language.load import Loaded
from runner.language.recipe import Recipe
from runner.language.run_record import overrides_of
from runner.language.source import shown_path
from runner.language.versions import groups_of

_BATCH = (("train", "batch_size"), ("train", "accumulate"))
_RATES = "learning rate at"
_RATE = (("schedule",), ("optimizer", "params", "lr"), ("train", "lr_scale"))


@dataclass(frozen=True)
class Group:
    """Differences that belong together.

    Attributes:
        because: the reason; empty where the recipe gives none.
        expected: what its author claimed.
        differences: in the order of the recipe's keys.
        notes: what of it changes nothing, or hardly anything.
    """

    because: str
    expected: Mapping[str, Any]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Everything that ``runner diff`` shows.

    Attributes:
        before, after: names of the recipes; of a run, its folder.
        runs: a line for each of them that is a run: whose, and what was set for it.
        groups: in the order of ``changes``; what none explains comes last.
        consequences: name, before, after of the derived facts that differ.
    """

    before: str
    after: str
    groups: tuple[Group, ...]
    consequences: tuple[tuple[str, str, str], ...]
    runs: tuple[str, ...] = ()


def compare(before: Loaded, after: Loaded, runs: Path | None = None) -> Comparison:
    """Compare two loaded recipes; reasons come from the second where it extends the first.

    Args:
        before, after: the recipes.
        runs: folder in which ``runner analyze`` leaves what it measured.
    """
    found = differences(before.recipe, after.recipe)
    extends = _files(after)[-2:-1] == _files(before)[-1:]
    by_group = groups_of(after, found) if extends else {-1: found}
    measured = [statistics_at_hand(each, runs) for each in (before, after)]
    shared = _moved_losses(before.recipe, after.recipe)
    earlier, later = (
        {fact.name: fact.value for fact in facts(each.recipe, known, shared)}
        for each, known in zip((before, after), measured, strict=True)
    )
    consequences = tuple(
        (name, earlier.get(name, "-"), later.get(name, "-"))
        for name in dict.fromkeys((*earlier, *later))
        if earlier.get(name) != later.get(name)
    )
    groups = []
    # What no group explains has the number -1 and comes last.
    for number in sorted(by_group, key=lambda number: (number < 0, number)):
        change = after.recipe.changes[number] if number >= 0 else None
        because, expected = (change.because, change.expected) if change else ("", {})
        notes = notes_on(by_group[number], before.recipe, after.recipe, later, consequences)
        if by_group[number]:
            groups.append(Group(because, expected, tuple(by_group[number]), notes))
    left, right = _titles(before, after)
    of_runs = tuple(dict.fromkeys(filter(None, map(_of_run, (before, after)))))
    return Comparison(left, right, tuple(groups), consequences, of_runs)


def _moved_losses(before: Recipe, after: Recipe) -> set[str]:
    """Return losses that weigh classes once in each recipe, at different places."""
    left, right = (
        [(table.loss, table.place) for table in weight_tables(each, None, with_alike=True)]
        for each in (before, after)
    )
    once = [dict(each) for each in (left, right) if len(dict(each)) == len(each)]
    if len(once) < 2:
        return set()
    return {loss for loss, place in once[0].items() if once[1].get(loss, place) != place}


def _files(loaded: Loaded) -> list[Path]:
    """Return the files of a recipe's chain, whether they were named or found."""
    return [path.resolve() for path in loaded.source.chain]


def _titles(before: Loaded, after: Loaded) -> tuple[str, str]:
    """Return what each side is called: a run by its folder, drafts of one name by their files."""
    left, right = (
        shown_path(side.run_folder) if side.run_folder else side.name for side in (before, after)
    )
    if left == right and _files(before)[-1] != _files(after)[-1]:
        return shown_path(before.source.chain[-1]), shown_path(after.source.chain[-1])
    return left, right


def _of_run(loaded: Loaded) -> str:
    """Return whose run a recipe is of, and what was set for it; empty where it is of none."""
    if loaded.run_folder is None:
        return ""
    scale = "" if loaded.scale == "full" else f" at the scale {loaded.scale}"
    sets = "".join(f" --set {text}" for text in overrides_of(loaded.run_folder))
    return f"{shown_path(loaded.run_folder)}: a run of {loaded.name}{scale},{sets}".rstrip(",")


def notes_on(
    found: Sequence[Difference],
    before: Recipe,
    after: Recipe,
    facts_after: Mapping[str, str],
    consequences: Sequence[tuple[str, str, str]],
) -> tuple[str, ...]:
    """Return what of a group of differences changes nothing, or hardly anything.

    Args:
        found: the group's differences.
        before, after: the recipes.
        facts_after: what follows from the second.
        consequences: what of it differs from the first.
    """
    keys = [each.key for each in found]
    notes = []
    if any(key in _BATCH for key in keys):
        old, new = (each.train.batch_size * each.train.accumulate for each in (before, after))
        if old == new:
            notes.append(f"the effective batch stays {old}: nothing changes for the optimizer")
        elif abs(new / old - 1) < HARDLY:
            notes.append(f"hardly a change: effective batch {old} -> {new} ({new / old - 1:+.0%})")
    if keys and all(any(key[: len(each)] == each for each in _RATE) for key in keys):
        rates = {name: text for name, text in facts_after.items() if name.startswith(_RATES)}
        is_known = not any("depends" in text for text in rates.values())
        if rates and is_known and not rates.keys() & {name for name, _, _ in consequences}:
            notes.append("the learning rate stays the same at every quarter of the training")
    return tuple(notes)
