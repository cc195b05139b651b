"""Check recipes: every problem at once, each at its file and line."""

import argparse
import json

from runner import render
from runner.errors import Problem, RecipeError
from runner.language.load import load_at_every_scale
from runner.language.source import published
from runner.language.versions import check_published

EXAMPLE = "runner validate uav_fixed my_recipe.yaml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help="all published recipes by default"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print problems, or one line for each recipe that has none."""
    found: dict[str, list[Problem]] = {}
    fingerprints: dict[str, str] = {}
    for reference in arguments.recipes or published():
        try:
            loaded = load_at_every_scale(reference)
            if problems := check_published(loaded):
                raise RecipeError(problems)
            fingerprints[reference] = loaded.recipe_fingerprint
        except RecipeError as error:
            found[reference] = list(error.problems)
    problems = list(dict.fromkeys(problem for each in found.values() for problem in each))
    if arguments.json:
        rows = [{"place": p.place, "key": p.key, "message": p.message} for p in problems]
        render.show(json.dumps({"problems": rows, "recipes": fingerprints}, indent=2))
    else:
        for name, fingerprint in fingerprints.items():
            render.show(f"{name}: ok ({fingerprint})")
        if problems:
            render.complain("\n".join(map(str, problems)))
    return RecipeError.exit_code if problems else 0
