"""Show a recipe as written, or resolved with every default filled in."""

import argparse
import json

from runner import render
from runner.language.dump import to_yaml
from runner.language.explain import load_at
from runner.language.load import Loaded, load
from runner.language.plugins import kept_plugins
from runner.language.source import text_of

EXAMPLE = "runner show uav_fixed --resolved"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "recipe", metavar="RECIPE", help="a name, a path, a run folder or name@REVISION"
    )
    parser.add_argument(
        "--resolved", action="store_true", help="with its base and all defaults filled in"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="K=V",
        help="overlay a value (implies --resolved)",
    )
    parser.add_argument(
        "--scale",
        choices=("full", "sample", "smoke"),
        help="as it is run on data of your own, on the embedded sample, or for a smoke test "
        "(implies --resolved); as `train` would run it where left out",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, resolved")


def run(arguments: argparse.Namespace) -> int:
    """Print the recipe."""
    if not (arguments.resolved or arguments.set or arguments.json or arguments.scale):
        loaded = load(arguments.recipe)
        render.show(text_of(arguments.recipe).rstrip("\n"))
        return 0
    if arguments.scale:
        loaded = load_at(arguments.recipe, arguments.scale, arguments.set)
    else:
        loaded = load(arguments.recipe, sets=arguments.set)
    if arguments.json:
        document = {
            "name": loaded.name,
            "scale": loaded.scale,
            "recipe_fingerprint": loaded.recipe_fingerprint,
            "run_fingerprint": loaded.run_fingerprint(_plugins(loaded, arguments)),
            "recipe": loaded.flat(),
        }
        render.show(json.dumps(document, indent=2))
    else:
        render.show(to_yaml(loaded.flat()).rstrip("\n"))
    return 0


def _plugins(loaded: Loaded, arguments: argparse.Namespace) -> dict[str, str]:
    """Return the hashes of own parts: of those that were named, or that the run began with."""
    named: dict[str, str] = arguments.plugin_hashes
    return named if named or loaded.run_folder is None else kept_plugins(loaded.run_folder)
