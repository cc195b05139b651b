"""Replace ``${dotted.key}`` by the value it names, and refuse every other expression."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from runner.errors import RecipeError
from runner.language.document import Key
from runner.language.overlay import Source

_REFERENCE = re.compile(r"\$\{[A-Za-z_]\w*(\.\w+)*\}")


def _is_prose(key: Key) -> bool:
    return key[0] in ("summary", "changes", "observed", "allow")


def resolve(source: Source) -> Source:
    """Replace each ``${other.key}`` by the value it names; prose is left as it is.

    Raises: RecipeError: any other expression, a missing key, a circle.
    """
    references = [*references_in(source)]
    problems = [
        source.problem(key, f"{value!r} is no reference; only a whole ${{dotted.key}} is replaced")
        for key, value in references
        if not _REFERENCE.fullmatch(value)
    ]
    if problems:
        raise RecipeError(problems)
    return _replaced(source) if references else source


def references_in(source: Source) -> Iterator[tuple[Key, str]]:
    """Yield each text, prose aside, that is or should be a reference, with its key."""
    for key, value in _texts(source.data):
        if "${" in value and not _is_prose(key):
            yield key, value


def _texts(data: Any, key: Key = ()) -> Iterator[tuple[Key, str]]:
    if isinstance(data, str):
        yield key, data
    elif isinstance(data, dict | list):
        for name, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _texts(value, (*key, name))


def _replaced(source: Source) -> Source:
    # Imported here: most recipes have no reference, and OmegaConf takes 20 ms a recipe.
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    prose = {name: value for name, value in source.data.items() if _is_prose((name,))}
    values = {name: value for name, value in source.data.items() if name not in prose}
    try:
        data = OmegaConf.to_container(OmegaConf.create(values), resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        full_key = str(getattr(error, "full_key", None) or "")
        key = tuple(re.findall(r"[^.\[\]]+", full_key))
        reason = (
            str(error).splitlines()[0]
            if not isinstance(error, RecursionError)
            else "references go in a circle; write a value for one of them"
        )
        raise RecipeError(source.problem(key, reason)) from None
    assert isinstance(data, dict)
    return replace(source, data={**{str(name): value for name, value in data.items()}, **prose})
