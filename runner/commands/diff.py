"""What differs between two recipes, why, and what follows from it."""

import argparse
import json
from dataclasses import asdict

from runner import render
from runner.language.diff import compare
from runner.language.load import load_written

EXAMPLE = "runner diff uav_baseline uav_fixed"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("a", metavar="A", help="a name, a path, a run folder or name@REVISION")
    parser.add_argument("b", metavar="B", help="likewise")
    parser.add_argument("--exit-code", action="store_true", help="exit 1 where they differ")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print groups of differences, then consequences."""
    comparison = compare(load_written(arguments.a), load_written(arguments.b))
    if arguments.json:
        render.show(json.dumps(asdict(comparison), indent=2))
    else:
        render.show(render.comparison(comparison))
    return int(arguments.exit_code and bool(comparison.groups))
