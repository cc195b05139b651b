"""Train two steps of each recipe with evaluation, checkpoint and resume; for CI."""

import argparse
import tempfile
import time
from pathlib import Path

from runner import render
from runner.counting import number_of
from runner.errors import RunnerError
from runner.language.load import load
from runner.language.source import published

EXAMPLE = "runner smoke uav_fixed"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help="all published recipes by default"
    )
    parser.add_argument("--data", metavar="DIR", help="data root, in place of the recipes'")
    parser.add_argument("--set", action="append", default=[], metavar="K=V", help="for all of them")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each recipe; exit code 1 if any fails."""
    failed = 0
    for reference in arguments.recipes or published():
        start = time.monotonic()
        try:
            said = _smoke(reference, arguments)
        except RunnerError as error:
            failed += 1
            render.show(f"{reference}: FAILED")
            render.complain(str(error))
        else:
            render.show(f"{reference}: ok, {said}, {time.monotonic() - start:.1f} s")
    return 1 if failed else 0


def _smoke(reference: str, arguments: argparse.Namespace) -> str:
    """Train a recipe once through and once interrupted; return what was seen.

    Raises: RunnerError: whatever is wrong with it; a resume that is not exact is one of them.
    """
    from runner.engine.request import Request
    from runner.engine.session import Session
    from runner.errors import MachineError, Problem
    from runner.events import Evaluated, Event, Finished, Saved
    from runner.language.machine import Machine

    loaded = load(reference, sets=arguments.set, data=arguments.data, is_smoke=True)
    machine = Machine(workers=0)

    def train(out: Path, *, stops: bool = False, resumes: bool = False) -> list[Event]:
        request = Request(
            loaded=loaded,
            machine=machine,
            out=out,
            device=arguments.device,
            trackers=(),
            resumes=resumes,
            stop_requested=lambda: stops,
        )
        return list(Session(request).events())

    with tempfile.TemporaryDirectory(prefix="runner-smoke-") as folder:
        whole = train(Path(folder) / "whole")
        first = train(Path(folder) / "resumed", stops=True)
        second = train(Path(folder) / "resumed", resumes=True)
        steps = whole[-1].step
        if isinstance(end := whole[-1], Finished) and end.state != "done":
            raise MachineError(Problem(reference, "", f"was stopped: {end.reason}"))
        evaluations = [event for event in whole if isinstance(event, Evaluated)]
        again = [event for event in (*first, *second) if isinstance(event, Evaluated)]
        # As text: what is no number, which differs from itself, is the same here.
        if [str(dict(e.values)) for e in again] != [str(dict(e.values)) for e in evaluations]:
            message = (
                f"a resume at step {first[-1].step} of {steps} gave other metrics; "
                "set train.deterministic: true, or report it"
            )
            raise MachineError(Problem(reference, "", message))
        saved = sum(isinstance(event, Saved) for event in whole)
    return (
        f"{number_of(steps, 'steps')}, {number_of(len(evaluations), 'evaluations')}, "
        f"{number_of(saved, 'checkpoints')}, "
        f"exact resume at step {first[-1].step}"
    )
