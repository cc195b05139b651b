"""What the published recipes say of themselves, read without checking them."""

import re
from pathlib import Path
from typing import Any

from runner.language.document import parse
from runner.language.folders import published, published_folder

_LISTED = ("scenario", "version", "extends", "summary")
_ENTRY = re.compile(r"^(?=[^\s#])", re.MULTILINE)


def headings() -> list[dict[str, Any]]:
    """Return name, scenario, version, base and summary of each published recipe.

    Raises: RecipeError: one of these lines is not YAML.
    """
    own = {name: _heading(published_folder() / f"{name}.yaml") for name in published()}
    return [
        {
            "name": name,
            "scenario": _scenario(name, own),
            "version": written.get("version"),
            "extends": written.get("extends"),
            "summary": written.get("summary", ""),
        }
        for name, written in own.items()
    ]


def _heading(path: Path) -> dict[str, Any]:
    """Return the listed entries; the rest of the file is not parsed."""
    entries = _ENTRY.split(path.read_text(encoding="utf-8"))
    listed = [each for each in entries if each.split(":", 1)[0] in _LISTED]
    return parse("".join(listed) or "{}", path.name).data or {}


def _scenario(name: str, own: dict[str, dict[str, Any]]) -> Any:
    """Return a recipe's scenario, which it may have from its base."""
    seen: set[str] = set()
    while name in own and name not in seen:
        if "scenario" in own[name]:
            return own[name]["scenario"]
        seen.add(name)
        name = str(own[name].get("extends"))
    return None
