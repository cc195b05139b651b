"""What differs between two recipes, why, and what follows from it."""

import argparse
import json
import shutil
import sys
from dataclasses import asdict

from runner import diff_text, render
from runner.colour import paint_for
from runner.language.diff import compare
from runner.language.load import load_written
from runner.language.machine import expanded, machine_in_use

EXAMPLE = "runner diff uav_baseline uav_fixed"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("a", metavar="A", help="a name, a path, a run folder or name@REVISION")
    parser.add_argument("b", metavar="B", help="likewise")
    parser.add_argument("--exit-code", action="store_true", help="exit 1 where they differ")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--markdown", action="store_true", help="for a comment on a pull request")


def run(arguments: argparse.Namespace) -> int:
    """Print groups of differences, then consequences."""
    runs = expanded(machine_in_use().runs)
    comparison = compare(load_written(arguments.a), load_written(arguments.b), runs)
    if arguments.json:
        render.show(json.dumps(asdict(comparison), indent=2))
    elif arguments.markdown:
        render.show(diff_text.as_markdown(comparison))
    else:
        width = min(100, shutil.get_terminal_size((100, 24)).columns)
        paint = paint_for(sys.stdout)
        render.show(diff_text.comparison(comparison, width=width, paint=paint))
    return int(arguments.exit_code and bool(comparison.groups))
