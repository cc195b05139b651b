"""Hold a published recipe to its word: ``changes`` cover exactly what differs from its base."""

from runner.errors import Problem
from runner.language.differences import Difference, differences
from runner.language.document import Key, dotted
from runner.language.load import Loaded, is_published

TO_FILL_IN = "FILL IN"
"""What ``runner promote`` writes where only the author knows what to say."""


def check_published(loaded: Loaded) -> list[Problem]:
    """Return what is wrong with a recipe as a published one; nothing is of a draft.

    Args:
        loaded: as written.
    """
    source = loaded.source
    if not is_published(source.chain[-1]):
        return []
    problems = []
    if loaded.recipe.version is None:
        problems.append(source.problem(("version",), "is required of a published recipe"))
    problems += _unsaid(loaded)
    base = loaded.base
    if base is None:
        if loaded.recipe.changes:
            message = "there is no base to differ from; remove it, or extend one"
            problems.append(source.problem(("changes",), message))
        return problems
    return problems + _uncovered(loaded, differences(base.recipe, loaded.recipe))


def _unsaid(loaded: Loaded) -> list[Problem]:
    """Return what ``runner promote`` left to its author."""
    texts: dict[Key, tuple[str, str]] = {
        ("changes", number, "because"): (change.because, "say why these keys differ")
        for number, change in enumerate(loaded.recipe.changes)
    }
    texts[("summary",)] = (loaded.recipe.summary, "say what the recipe is in one sentence")
    return [
        loaded.source.problem(key, f"is still to be filled in: {cure}")
        for key, (text, cure) in texts.items()
        if text.startswith(TO_FILL_IN)
    ]


def groups_of(loaded: Loaded, found: list[Difference]) -> dict[int, list[Difference]]:
    """Return the differences that each group of ``changes`` explains; -1 has those of none."""
    groups: dict[int, list[Difference]] = {}
    for difference in found:
        number = next(
            (
                number
                for number, change in enumerate(loaded.recipe.changes)
                if any(_covers(_key(written), difference.key) for written in change.keys)
            ),
            -1,
        )
        groups.setdefault(number, []).append(difference)
    return groups


def _uncovered(loaded: Loaded, found: list[Difference]) -> list[Problem]:
    source = loaded.source
    claims = [
        (("changes", number, "keys", position), _key(written))
        for number, change in enumerate(loaded.recipe.changes)
        for position, written in enumerate(change.keys)
    ]
    problems = []
    for difference in found:
        if not any(_covers(claim, difference.key) for _, claim in claims):
            message = f"differs from {loaded.extends}, and no group of changes explains it"
            problems.append(source.problem(difference.key, message))
    for place, claim in claims:
        written = dotted(claim)
        if not any(_covers(claim, difference.key) for difference in found):
            message = f"{written} does not differ from {loaded.extends}; remove the claim"
            problems.append(source.problem(place, message))
        twice = [other for other, key in claims if other != place and _covers(key, claim)]
        if twice:
            message = f"{written} is explained by {dotted(twice[0])} too; keep it in one group"
            problems.append(source.problem(place, message))
    return problems


def _key(written: str) -> Key:
    return tuple(written.split("."))


def _covers(claim: Key, key: Key) -> bool:
    return key[: len(claim)] == claim
