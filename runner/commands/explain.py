"""Tell what follows from a recipe, or where one of its values comes from and who reads it."""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import explain_text, render
from runner.colour import paint_for
from runner.errors import DataError, MachineError, Problem, RecipeError
from runner.language.explain import Explanation, explain, load_at
from runner.language.load import Loaded
from runner.language.machine import Machine, read_machine
from runner.language.origins import origin

if TYPE_CHECKING:
    from runner.insight.memory import Memory

EXAMPLE = "runner explain pointer_fixed task.params.loss.params.threshold"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "recipe", metavar="RECIPE", help="a name, a path, a run folder or name@REVISION"
    )
    parser.add_argument(
        "key", metavar="KEY", nargs="?",
        help="a value to tell the origin and the reader of; its end is enough: loss.params.gamma",
    )  # fmt: skip
    parser.add_argument(
        "--scale", choices=("full", "sample", "smoke"),
        help="explain it as it is run on the embedded sample, or for a smoke test",
    )  # fmt: skip
    parser.add_argument(
        "--at", nargs="+", default=[], metavar="STEP",
        help="learning rate at these steps, or shares of the training such as 8%%",
    )  # fmt: skip
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the learning rate as FILE.png or FILE.svg"
    )
    parser.add_argument(
        "--quick", action="store_true",
        help="leave out the estimate of memory, which takes torch and a batch of data",
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
    runs = Path(machine.runs).expanduser()
    if arguments.key is not None:
        if arguments.plot is not None or arguments.at:
            option = "--plot" if arguments.plot is not None else "--at"
            message = f"is of the whole recipe's learning rate; leave out {arguments.key}"
            raise RecipeError(Problem(option, "", message))
        value = origin(loaded, arguments.key, runs)
        _show(arguments, value, explain_text.origin_of)
        return 0
    found = explain(loaded, runs, arguments.at)
    if arguments.plot is not None:
        _plot(found, arguments.plot)
    memory, wanting = (None, "") if arguments.quick else _memory(loaded, machine)
    if arguments.json:
        kept = {**asdict(memory), "total": memory.total} if memory else None
        render.show(json.dumps({**asdict(found), "memory": kept}, indent=2))
        return 0
    _show(arguments, found, explain_text.explanation)
    if memory is not None:
        render.show("\n" + explain_text.memory_of(memory))
    elif wanting:
        render.note(f"\nmemory is not known, as it takes a batch of data:\n{wanting}")
    return 0


def _memory(loaded: Loaded, machine: Machine) -> tuple["Memory | None", str]:
    """Return what a step keeps; None, and why, where the data that it takes are not there."""
    # Imported here: nothing else of the command needs torch.
    from runner.insight.memory import estimate

    try:
        return estimate(loaded, machine), ""
    except (DataError, RecipeError) as error:
        return None, str(error)


def _plot(found: Explanation, file: Path) -> None:
    """Draw the learning rate."""
    # Imported here: nothing else of the command needs Pillow.
    from runner.insight.rate_plot import draw_rates

    wrong = ""
    if file.suffix not in (".png", ".svg"):
        wrong = "is neither a .png nor a .svg; name one"
    elif not found.curve:
        wrong = f"cannot be drawn: the curve depends on the steps of an epoch; {found.needs}"
    if wrong:
        raise RecipeError(Problem(str(file), "--plot", wrong))
    moments = []
    for point in found.rates:
        step = "" if point.step is None else f"\nstep {point.step}"
        moments.append((point.fraction, f"{100 * point.fraction:.4g} %{step}"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draw_rates(f"learning rate of {found.name}", found.curve, moments, file)
    except OSError as error:
        message = f"cannot be written: {error.strerror}; name another place"
        raise MachineError(Problem(str(file), "--plot", message)) from error
    render.note(f"drawn: {file}")


def _show(arguments: argparse.Namespace, found: Any, as_text: Callable[..., str]) -> None:
    if arguments.json:
        render.show(json.dumps(asdict(found), indent=2))
        return
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    render.show(as_text(found, width=width, paint=paint_for(sys.stdout)))
