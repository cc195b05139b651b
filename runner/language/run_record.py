"""What a run folder keeps beside its recipe of how the run was begun."""

import json
from pathlib import Path
from typing import Any

from runner.errors import Problem, RecipeError


def read_record(folder: Path) -> dict[str, Any]:
    """Return a run's record as plain data; empty where the folder holds none.

    Raises: RecipeError: it is damaged.
    """
    file = folder / "run.json"
    try:
        record = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RecipeError(Problem(str(file), "", "is no record of a run; name another")) from error
    if not isinstance(record, dict):
        raise RecipeError(Problem(str(file), "", "is no record of a run; name another"))
    return record


def overrides_of(folder: Path) -> tuple[str, ...]:
    """Return the ``--set`` texts that a run was begun with.

    Raises: RecipeError: its record is damaged.
    """
    written = read_record(folder).get("overrides", [])
    return tuple(map(str, written)) if isinstance(written, list) else ()


def covering(overrides: tuple[str, ...], key: tuple[Any, ...]) -> str:
    """Return the last of ``--set`` texts that wrote a key; empty where none did."""
    wanted = tuple(map(str, key))
    for text in reversed(overrides):
        own = tuple(text.partition("=")[0].split("."))
        if wanted[: len(own)] == own:
            return text
    return ""
