"""Print the JSON Schema of a recipe file."""

import argparse
import json

from runner import render
from runner.language.schema import recipe_schema

EXAMPLE = "runner schema > recipe.schema.json"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", action="store_true", help="no effect: the output is always JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    del arguments
    render.show(json.dumps(recipe_schema(), indent=2))
    return 0
