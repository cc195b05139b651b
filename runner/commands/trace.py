"""Hold what each recipe does against its pinned losses, or pin them."""

import argparse

from runner import render
from runner.errors import Problem, RecipeError
from runner.language.source import published, published_folder

EXAMPLE = "runner trace uav_fixed"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help="all published recipes by default"
    )
    parser.add_argument(
        "--write", action="store_true", help="pin versions that have no trace; others stay"
    )
    parser.add_argument(
        "--rewrite", action="store_true", help="pin anew, also what does something else now"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each recipe; exit code 1 if any does not do what was pinned."""
    from runner.insight.behaviour import (
        deviation,
        largest_difference,
        read_traces,
        trace,
        write_traces,
    )

    folder, known = published_folder(), published()
    if strangers := [name for name in arguments.recipes if name not in known]:
        message = "only published recipes are pinned; runner list names them"
        raise RecipeError(Problem(name, "", message) for name in strangers)
    pinned = read_traces(folder)
    kept = {name: each for name, each in pinned.items() if name in known}
    failed = 0
    for name in arguments.recipes or known:
        found, old = trace(name), pinned.get(name)
        off = deviation(old, found) if old and old.version == found.version else None
        if old is not None and old.version == found.version and off is None:
            render.show(f"{name}: as pinned, {largest_difference(old, found):.1e} off at most")
        elif arguments.rewrite or (arguments.write and off is None):
            kept[name] = found
            render.show(f"{name}: pinned" + (f" anew; before: {off}" if off else ""))
        else:
            failed += 1
            cure = "runner trace --write pins it"
            render.show(str(off) if off else f"{name}: version {found.version}: not pinned; {cure}")
    if kept != pinned:
        render.note(str(write_traces(folder, kept.values())))
    return 1 if failed else 0
