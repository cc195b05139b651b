"""Bring a recipe file of an older format up to the one that this code reads.

An upgrade is a pure function from the plain data of one format to that of the next. It is applied
to each file by itself, before files are laid over each other: a base may be older than its child.
A file without ``schema``, as drafts may be, is of the newest format.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

SCHEMA = 1
"""The format of recipe files that this code reads and writes."""

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]

UPGRADES: Mapping[int, Upgrade] = {}
"""By the format that it starts from. There has been one format only, so that there is none yet."""


def upgraded(
    data: dict[str, Any], upgrades: Mapping[int, Upgrade] = UPGRADES, newest: int = SCHEMA
) -> dict[str, Any]:
    """Return a recipe's own data in the newest format.

    Args:
        data: of one file; it is not changed.
        upgrades: by the format that each starts from.
        newest: the format to reach.
    Raises: ValueError: the file's format is none that can be read; the message says the cure.
    """
    schema = data.get("schema", newest)
    if type(schema) is not int or schema < min(upgrades, default=newest):
        written = json.dumps(schema, default=str)
        raise ValueError(f"{written} is no format of recipes; write {newest}")
    if schema > newest:
        raise ValueError(f"{schema} is newer than this runner reads, {newest}; update the runner")
    while schema < newest:
        data = {**upgrades[schema](data), "schema": schema + 1}
        schema += 1
    return data
