"""Turn a draft, or a run's overrides, into the text of a published child recipe."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from runner.errors import Problem, RecipeError
from runner.language.check import check
from runner.language.differences import Difference, differences
from runner.language.document import Key, Place, dotted
from runner.language.dump import to_yaml
from runner.language.load import Loaded, is_published, load_written
from runner.language.lock_file import Lock
from runner.language.overlay import Source, overlay, without
from runner.language.source import OWN_KEYS, assignments, published
from runner.language.versions import TO_FILL_IN, groups_of
from runner.registry import suggestion

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_WHY = f"{TO_FILL_IN}: why, and what it should do"
_SUMMARY = f"{TO_FILL_IN}: one sentence"
_MISSING = object()


def draft_of_file(reference: str) -> tuple[Loaded, Loaded]:
    """Return a draft and the published recipe that it builds on, drafts between them included.

    Raises: RecipeError: it is wrong, published already, or builds on none.
    """
    draft = load_written(reference)
    if draft.source.revision is not None or is_published(draft.source.chain[-1]):
        message = "is published already; promote a draft that extends it, or a run of it"
        raise RecipeError(Problem(reference, "", message))
    bases = [path for path in draft.source.chain if is_published(path)]
    if not bases:
        message = "builds on no published recipe; extend one, such as a neutral starter"
        raise RecipeError(draft.source.problem(("extends",), message))
    return draft, load_written(bases[-1].stem)


def draft_of_run(
    name: str, overrides: Sequence[str], fingerprint: str, lock: Lock
) -> tuple[Loaded, Loaded]:
    """Return what a run's ``--set`` made of its recipe, at full scale, and that recipe.

    Args:
        name: of the run's recipe.
        overrides: the ``--set`` texts.
        fingerprint: of the recipe as it was when the run began.
        lock: of the published recipes.
    Raises: RecipeError: the run is of a draft, or its recipe means something else by now.
    """
    if name not in published():
        hint = suggestion(name, dict.fromkeys(published()))
        message = f"was a run of a draft, and {name} is not published; promote its file ({hint})"
        raise RecipeError(Problem(name, "", message))
    base = load_written(name)
    # An option that came later changes the fingerprint and not what the recipe does.
    pins = {entry.pin.fingerprint for entry in lock.of(name, base.recipe.version)}
    if fingerprint != base.recipe_fingerprint and fingerprint not in pins:
        message = (
            f"means something else than when the run began (fingerprint {fingerprint}, now "
            f"{base.recipe_fingerprint}); write the values into a draft and promote that"
        )
        raise RecipeError(Problem(name, "", message))
    # What the recipe says of itself is not the run's: no reason of its author's is one for this.
    source = without(base.source, *((key,) for key in OWN_KEYS))
    for each in assignments(overrides):
        source = overlay(source, each)
    recipe = check(source)
    return replace(base, recipe=recipe, written=recipe, source=source), base


def promoted(draft: Loaded, base: Loaded, name: str, lock: Lock) -> str:
    """Return the text of a child of ``base`` that means what the draft means.

    Args:
        draft: as written.
        base: a published recipe.
        name: of the new recipe.
        lock: of the published recipes; a version that was used is not used again.
    Raises: RecipeError: nothing differs, or a difference cannot be written in a child.
    """
    if not _NAME.fullmatch(name):
        message = "is no name of a recipe; use small letters, digits and _, as in uav_fixed"
        raise RecipeError(Problem(name, "--name", message))
    found = differences(base.recipe, draft.recipe)
    if not found:
        message = f"differs in nothing from {base.name}; there is nothing to publish"
        raise RecipeError(Problem(draft.name, "", message))
    values = _values(found, draft, base)
    is_of_run = draft.source.chain[-1] == base.source.chain[-1]
    own = {} if is_of_run else draft.source.own  # a run's are the base's
    head: dict[str, Any] = {
        "schema": base.recipe.schema_,
        "extends": base.name,
        "version": 1 + max((entry.pin.version for entry in lock.of(name)), default=0),
        "summary": draft.recipe.summary if "summary" in own else _SUMMARY,
    }
    head |= {key: own[key] for key in ("allow", "observed") if key in own}
    head["changes"] = _changes(draft, found)
    return f"{to_yaml(head)}\n{to_yaml(values)}"


def _values(found: Iterable[Difference], draft: Loaded, base: Loaded) -> dict[str, Any]:
    """Return what a child must write so that it means what the draft means, and no more."""
    values: dict[str, Any] = {}
    for each in found:
        written = _at(draft.source.data, each.key)
        if written is not _MISSING:
            _put(values, each.key, written)
    for each in differences(_child(base, values), draft.recipe):
        # What the draft got by leaving out, as by another length, may have to be written.
        _put(values, each.key, each.after)
    rest = differences(_child(base, values), draft.recipe)
    if rest:
        message = f"cannot be written in a child of {base.name}; extend another recipe"
        raise RecipeError(draft.source.problem(each.key, message) for each in rest)
    return values


def _child(base: Loaded, values: dict[str, Any]) -> Any:
    inherited = without(base.source, *((key,) for key in OWN_KEYS))
    return check(overlay(inherited, Source(values, {(): Place(base.name)})))


def _at(data: Any, key: Key) -> Any:
    for part in key:
        if not isinstance(data, dict) or part not in data:
            return _MISSING
        data = data[part]
    return data


def _put(values: dict[str, Any], key: Key, value: Any) -> None:
    for part in key[:-1]:
        values = values.setdefault(str(part), {})
    values[str(key[-1])] = value


def _changes(draft: Loaded, found: list[Difference]) -> list[dict[str, Any]]:
    """Return groups that cover all differences: the draft's own, then one for each section."""
    changes: list[dict[str, Any]] = []
    by_group = groups_of(draft, found)
    for number in sorted(each for each in by_group if each >= 0):
        change = draft.recipe.changes[number]
        group = {"keys": _claims(by_group[number]), "because": change.because}
        changes.append(group | ({"expected": change.expected} if change.expected else {}))
    by_section: dict[Key, list[Difference]] = {}
    for each in by_group.get(-1, []):
        by_section.setdefault(_section(each.key), []).append(each)
    return changes + [
        {"keys": _claims(section), "because": _WHY} for section in by_section.values()
    ]


def _section(key: Key) -> Key:
    """Return the block that a key belongs to: the model, the loss, the data, the schedule."""
    return key[:3] if key[0] == "task" else key[:1]


def _claims(found: Iterable[Difference]) -> list[str]:
    # A name with a dot in it cannot be told from two keys: the key above is claimed.
    keys = (takewhile(lambda part: "." not in str(part), each.key) for each in found)
    return list(dict.fromkeys(dotted(tuple(key)) for key in keys))
