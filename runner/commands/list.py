"""List the recipes, or the parts that a recipe can name."""

import argparse
import json
from typing import Any

from runner import render
from runner.language.headings import headings

EXAMPLE = "runner list losses"
KINDS = (
    "models", "losses", "datasets", "transforms", "samplers", "schedules", "optimizers", "metrics",
    "health", "tasks",
)  # fmt: skip
"""The keys of ``registry.KINDS``, which takes longer to import than recipes to list."""


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
    rows = headings() if arguments.kind == "recipes" else _parts(arguments.kind)
    render.show(json.dumps(rows, indent=2) if arguments.json else render.listing(rows))
    return 0


def _parts(kind: str) -> list[dict[str, Any]]:
    from runner import registry as registries

    registry = registries.KINDS[kind]
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
