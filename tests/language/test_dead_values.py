"""Each value of each recipe changes what is planned or trained: none is there for nothing.

Values are told apart by the factory and the parameter that take them. Each is changed within its
type until a digest differs: of the plan, of what a health rule says of many courses of a training,
of what is expected of a run, or else of two steps with their evaluation. A value that the part
refuses is read as well. ``reachable.py`` says what stands beside a value, before and after alike,
where two small steps of the recipe as it is would not come to look at it.
"""

from functools import lru_cache

import pytest
from perturbed import (
    Leaf,
    at_scale,
    candidates,
    changed,
    leaves,
    of_expectations,
    of_health,
    of_plan,
    of_run,
    of_stopping,
    reached,
    small,
)
from reachable import cases

from runner.errors import RecipeError

PLANNED = ("train", "schedule")
CHEAP = {"health", "expect"}
REASONS = {
    r".cache": "changes the speed alone",
    r".allow_leak": "only lets pass what would be refused",
    "train.compile": "changes the speed alone, and takes minutes",
}
"""Ends of names that no digest of two small steps can show, and why."""

LEAVES = leaves()


def is_left_out(leaf: Leaf) -> bool:
    """Whether a leaf is no value of its own, or one that no digest can show."""
    if leaf.name.endswith(".name") or leaf.value in ({}, []):
        return True  # which factory is called; nothing is written
    if leaf.value is None and leaf.key[:1] == ("health",) and len(leaf.key) == 2:
        return True  # a base's rule, taken out; its values are looked at where it is
    if leaf.value is None and any(each.name.startswith(f"{leaf.name}.") for each in LEAVES):
        return True  # its values are looked at one by one where a recipe has them
    return any(leaf.name.endswith(end) for end in REASONS)


TRIED = [leaf for leaf in LEAVES if not is_left_out(leaf)]


def is_cheap(leaf: Leaf) -> bool:
    return leaf.key[0] in CHEAP or leaf.key[:2] == ("train", "early_stopping")


def is_planned(leaf: Leaf) -> bool:
    return leaf.key[0] in PLANNED


def digests(leaf: Leaf, sets: tuple[str, ...], cache: str):
    """Yield functions whose digests a value may change, the quickest first."""
    loaded = at_scale(leaf.recipe, leaf.scale, sets)
    if leaf.key[0] == "health":
        yield of_health(loaded, leaf.key[1])
    elif leaf.key[0] == "expect":
        yield of_expectations(loaded)
    elif leaf.key[:2] == ("train", "early_stopping"):
        yield of_stopping(loaded)
    else:
        if is_planned(leaf):
            yield planned(loaded)
        yield of_run(loaded, cache)


def planned(loaded) -> str:
    try:
        return of_plan(loaded)
    except RecipeError as error:
        return f"refused: {error}"


@lru_cache(maxsize=8)
def unchanged(recipe: str, scale: str, key: tuple, sets: tuple[str, ...], cache: str) -> list[str]:
    leaf = Leaf(recipe, scale, key, "", None)
    return list(digests(leaf, sets, cache))


def is_alive(leaf: Leaf, cache: str) -> bool:
    """Whether some other value of a leaf's type changes a digest."""
    # As much of the key as decides which digests there are.
    key = leaf.key[:2] if is_cheap(leaf) else leaf.key[:1] if is_planned(leaf) else ("",)
    sets = small(leaf, f"{cache}/own")
    before = unchanged(leaf.recipe, leaf.scale, key, sets, cache)
    refused = [each for each in before if each.startswith("refused")]
    assert not refused, f"what should differ from another value is itself {refused[0]}"
    leaf = reached(leaf, sets)
    for value in candidates(leaf):
        try:
            found = digests(leaf, changed(leaf, value, sets), cache)
            if any(a != b for a, b in zip(before, found, strict=True)):
                return True
        except RecipeError:
            continue  # not of the type, after all
    return False


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(
    "leaf", [leaf for leaf in TRIED if is_cheap(leaf)], ids=lambda leaf: leaf.name
)
def test_value_of_a_rule_changes_what_is_said(leaf, cache):
    assert is_alive(leaf, cache), f"nothing changes with {leaf}"


SAMPLE = ("balanced_focal.gamma", "cosine.min_lr", "train.accumulate", "unet.decoder_channels")


@pytest.mark.parametrize(
    "leaf", [leaf for leaf in TRIED if leaf.name in SAMPLE], ids=lambda leaf: leaf.name
)
def test_some_values_change_what_is_trained(leaf, cache):
    assert is_alive(leaf, cache), f"nothing changes with {leaf}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "leaf", [leaf for leaf in TRIED if not is_cheap(leaf)], ids=lambda leaf: leaf.name
)
def test_value_changes_what_is_planned_or_trained(leaf, cache):
    assert is_alive(leaf, cache), f"nothing changes with {leaf}"


GROUNDS = {
    (leaf.recipe, leaf.scale, repr(cases(leaf.name))): leaf for leaf in TRIED if not is_cheap(leaf)
}


@pytest.mark.slow
@pytest.mark.parametrize("leaf", GROUNDS.values(), ids=lambda leaf: f"{leaf.recipe}-{leaf.name}")
def test_what_is_left_as_it_is_gives_the_same_digests(leaf, cache):
    sets = small(leaf, f"{cache}/own")
    first, again = (list(digests(leaf, sets, cache)) for _ in range(2))
    assert first == again
