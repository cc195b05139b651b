"""List the recipes, or the parts that a recipe can name."""

import argparse
import json
from typing import Any

from runner import render
from runner.language.load import load_written
from runner.language.source import published
from runner.registry import KINDS, Registry

EXAMPLE = "runner list losses"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "kind",
        nargs="?",
        choices=["recipes", *KINDS],
        default="recipes",
        metavar="KIND",
        help=f"recipes (default), {', '.join(KINDS)}",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print names with one line each."""
    rows = _recipes() if arguments.kind == "recipes" else _parts(KINDS[arguments.kind])
    render.show(json.dumps(rows, indent=2) if arguments.json else render.listing(rows))
    return 0


def _recipes() -> list[dict[str, Any]]:
    rows = []
    for name in published():
        loaded = load_written(name)
        recipe = loaded.recipe
        rows.append(
            {
                "name": name,
                "scenario": recipe.scenario,
                "version": recipe.version,
                "extends": loaded.extends,
                "summary": recipe.summary,
            }
        )
    return rows


def _parts(registry: Registry[Any]) -> list[dict[str, Any]]:
    rows = []
    for name in registry:
        entry = registry[name]
        params = {
            key: {
                "type": render.type_name(field.annotation),
                "required": field.is_required(),
                **({} if field.is_required() else {"default": render.plain(field.default)}),
                "description": field.description or "",
            }
            for key, field in entry.params.model_fields.items()
        }
        rows.append({"name": name, "summary": entry.summary, "params": params})
    return rows
