"""Tell what follows from a recipe, or where one of its values comes from and who reads it."""

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from runner import explain_text, render
from runner.colour import paint_for
from runner.language.explain import explain, load_at
from runner.language.machine import read_machine

EXAMPLE = "runner explain pointer_fixed task.params.loss.params.threshold"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "recipe", metavar="RECIPE", help="a name, a path, a run folder or name@REVISION"
    )
    parser.add_argument(
        "--scale", choices=("full", "sample", "smoke"),
        help="explain it as it is run on the embedded sample, or for a smoke test",
    )  # fmt: skip
    parser.add_argument(
        "--at", nargs="+", default=[], metavar="STEP",
        help="learning rate at these steps, or shares of the training such as 8%%",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="overlay a value; repeatable"
    )
    parser.add_argument(
        "--machine", type=Path, metavar="FILE",
        help="machine profile, whose runs folder holds analyses (or RUNNER_MACHINE)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print facts, learning rates, and tables of weights and losses."""
    loaded = load_at(arguments.recipe, arguments.scale, arguments.set)
    profile = arguments.machine or os.environ.get("RUNNER_MACHINE")
    machine = read_machine(Path(profile) if profile else None)
    found = explain(loaded, Path(machine.runs).expanduser(), arguments.at)
    if arguments.json:
        render.show(json.dumps(asdict(found), indent=2))
    else:
        width = min(100, shutil.get_terminal_size((100, 24)).columns)
        paint = paint_for(sys.stdout)
        render.show(explain_text.explanation(found, width=width, paint=paint))
    return 0
