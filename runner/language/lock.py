"""Hold published recipes to what they were published with, version by version."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.errors import Problem, RecipeError
from runner.language.document import Key
from runner.language.load import Loaded, is_published, load_written
from runner.language.lock_file import Lock, Pin, Values, flattened, make_entry, same
from runner.language.source import published, shown_path

_WRITE = "runner validate --write-lock"
_NOTHING = object()


@dataclass(frozen=True)
class Drift:
    """A value that a version was published with, and that is another now.

    Attributes:
        recipe: whose.
        key: dotted; of the part where another one was named.
        before, after: in words.
    """

    recipe: Loaded
    key: str
    before: str
    after: str

    @property
    def change(self) -> tuple[str, str, str]:
        """What a child has in common with the base that it inherits the drift from."""
        return self.key, self.before, self.after


def check_lock(recipes: Sequence[Loaded], lock: Lock, *, is_whole: bool) -> list[Problem]:
    """Return every published meaning that changed without a new version, or is not in the lock.

    Args:
        recipes: as written; drafts among them are free of the lock.
        lock: of their folder.
        is_whole: whether these are all published recipes, so that missing ones are gone.
    Raises: RecipeError: the lock cannot be read.
    """
    bound = [each for each in recipes if is_bound(each)]
    drifts = [drift for each in bound for drift in drifts_of(each, lock)]
    if drifts and not is_whole:
        drifts += _of_children(drifts, bound, lock)
    problems = [*_told(drifts), *unwritten(bound, lock)]
    return problems + (_gone(bound, lock) if is_whole else [])


def is_held(loaded: Loaded, lock: Lock) -> bool:
    """Whether a recipe means what the lock says, or is none that the lock speaks of."""
    return not is_bound(loaded) or not (drifts_of(loaded, lock) or unwritten([loaded], lock))


def is_bound(loaded: Loaded) -> bool:
    """Whether a recipe is published in this checkout, and so held to the lock."""
    is_here = loaded.source.revision is None and is_published(loaded.source.chain[-1])
    return is_here and loaded.recipe.version is not None


def additions(recipes: Sequence[Loaded], lock: Lock) -> Lock:
    """Return the lock with what these recipes lack in it; lines that are there stay.

    A version that means something else than it was published with is left as it is.

    Args:
        recipes: all published ones.
        lock: of their folder.
    """
    gone = {entry.pin.name for entry in lock.entries} - {each.name for each in recipes}
    lock = lock.with_entries((), gone)
    # Bases first: an entry stands over its base's.
    for loaded in sorted(recipes, key=lambda each: len(each.source.chain)):
        pin = _pin(loaded)
        versions = [entry.pin.version for entry in lock.of(loaded.name)]
        is_there = pin in (entry.pin for entry in lock.of(loaded.name))
        if is_there or pin.version < max(versions, default=0) or drifts_of(loaded, lock):
            continue
        candidates = lock.of(loaded.name) or lock.of(loaded.extends or "")
        below = candidates[-1] if candidates else None
        values = lock.values(below) if below else {}
        over = below.pin if below else None
        lock = lock.with_entries([make_entry(pin, flattened(loaded.recipe), over, values)])
    return lock


def _pin(loaded: Loaded) -> Pin:
    assert loaded.recipe.version is not None, f"{loaded.name} is not published"
    return Pin(loaded.name, loaded.recipe.version, loaded.recipe_fingerprint)


def unwritten(recipes: Sequence[Loaded], lock: Lock) -> list[Problem]:
    """Return what the lock lacks and ``--write-lock`` adds: versions, and options that came later.

    Args:
        recipes: published ones.
        lock: of their folder.
    """
    problems = []
    for loaded in recipes:
        pin = _pin(loaded)
        entries = lock.of(pin.name, pin.version)
        newest = max((entry.pin.version for entry in lock.of(pin.name)), default=0)
        if entries and pin not in (entry.pin for entry in entries):
            if not (came := _came_later(loaded, _changed(lock.values(entries[-1]), loaded))):
                continue
            message = (
                f"came since version {pin.version} was published, at its default; run {_WRITE}"
            )
            problems.append(loaded.source.problem(_key(came[0]), message))
        elif not entries and pin.version < newest:
            message = f"{pin.version} stands before {newest}, published too; write {newest + 1}"
            problems.append(loaded.source.problem(("version",), message))
        elif not entries:
            message = f"version {pin.version} is not in {lock.file.name}; run {_WRITE}"
            problems.append(loaded.source.problem(("version",), message))
    return problems


def drifts_of(loaded: Loaded, lock: Lock) -> list[Drift]:
    """Return what a recipe's version was published with otherwise."""
    pin = _pin(loaded)
    entries = lock.of(pin.name, pin.version)
    if not entries or pin in (entry.pin for entry in entries):
        return []
    changed = _changed(lock.values(entries[-1]), loaded)
    later = _came_later(loaded, changed)
    return [
        Drift(loaded, key, _words(before), _words(after))
        for key, (before, after) in _folded(changed).items()
        if key not in later
    ]


def _changed(locked: Values, loaded: Loaded) -> dict[str, tuple[Any, Any]]:
    now = flattened(loaded.recipe)
    return {
        key: (locked.get(key, _NOTHING), now.get(key, _NOTHING))
        for key in dict.fromkeys((*now, *locked))
        if key not in now or key not in locked or not same(locked[key], now[key])
    }


def _came_later(loaded: Loaded, changed: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Return keys that nobody wrote and that were no options yet; the trace pins what they do."""
    return [
        key
        for key, (before, _) in changed.items()
        if before is _NOTHING and not _is_written(loaded.source.data, _key(key))
    ]


def _is_written(data: Any, key: Key) -> bool:
    for part in key:
        if isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif isinstance(data, dict) and str(part) in data:
            data = data[str(part)]
        else:
            return False
    return True


def _key(text: str) -> Key:
    return tuple(int(part) if part.isdigit() else part for part in text.split("."))


def _folded(changed: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """Return a part that was swapped for another as one change, without those of its params."""
    parts = [key.removesuffix(".name") for key in changed if key.endswith(".name")]
    folded = {
        key: each
        for key, each in changed.items()
        if not any(key.startswith((f"{part}.name", f"{part}.params")) for part in parts)
    }
    return folded | {part: changed[f"{part}.name"] for part in parts}


def _words(value: Any) -> str:
    return "not there" if value is _NOTHING else json.dumps(value, ensure_ascii=False)


def _of_children(drifts: Sequence[Drift], known: Sequence[Loaded], lock: Lock) -> list[Drift]:
    """Return the same drifts in published recipes that inherit them."""
    changes = {drift.change for drift in drifts}
    names = {drift.recipe.name for drift in drifts}
    found = []
    for name in published():
        try:
            loaded = load_written(name)
        except RecipeError:
            continue  # It is wrong by itself, and validate says so when it is asked about it.
        above = {path.stem for path in loaded.source.chain[:-1]}
        if above & names and loaded.name not in {each.name for each in known} and is_bound(loaded):
            found += [each for each in drifts_of(loaded, lock) if each.change in changes]
    return found


def _told(drifts: Sequence[Drift]) -> list[Problem]:
    """Return a problem for each change: the recipe that makes it, and all that inherit it."""
    by_change: dict[tuple[str, str, str], list[Loaded]] = {}
    for drift in sorted(drifts, key=lambda each: len(each.recipe.source.chain)):
        by_change.setdefault(drift.change, []).append(drift.recipe)
    problems = []
    for (key, before, after), (first, *others) in by_change.items():
        version = first.recipe.version
        message = (
            f"was {before} when version {version} of {first.name} was published and is {after} "
            f"now; write version {(version or 0) + 1} in {shown_path(first.source.chain[-1])}"
        )
        if others:
            message += f", and new versions of {', '.join(each.name for each in others)} too"
        problems.append(first.source.problem(_key(key), message))
    return problems


def _gone(recipes: Sequence[Loaded], lock: Lock) -> list[Problem]:
    """Return recipes that were published and have no file any more."""
    names = {each.name for each in recipes}
    by_print = {each.recipe_fingerprint: each.name for each in recipes}
    problems = []
    for name in dict.fromkeys(entry.pin.name for entry in lock.entries):
        if name in names or name in lock.retired:
            continue
        renamed = by_print.get(lock.of(name)[-1].pin.fingerprint)
        hint = f" (it means what {renamed} means)" if renamed else ""
        message = (
            f"was published and its file is gone{hint}; restore it, or retire it with {_WRITE}"
        )
        problems.append(Problem(shown_path(lock.file), name, message))
    return problems
