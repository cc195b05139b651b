"""What each recipe does: the losses of its first steps on the CPU, pinned beside the lock."""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from runner.engine.distributed import Processes
from runner.engine.loop import train
from runner.engine.run import assemble
from runner.errors import MachineError, Problem, RecipeError
from runner.events import Stepped
from runner.language.load import load
from runner.language.machine import Machine

TRACE = "behaviour.csv"
STEPS = 20
TOLERANCE = 2e-3
"""Relative. Other kernels of the same operations stay below a tenth of it; see the tests."""

# The whole plan in so few steps, so that warm-up, restarts and ramps all take part; evaluations
# would cost more than the steps and change no loss.
_SETS = (f"train.compress_to_steps={STEPS}", "train.log_every=1", "train.panels=0")


@dataclass(frozen=True)
class Trace:
    """The losses of one version of a recipe.

    Attributes:
        recipe: its name.
        version: of the recipe.
        losses: of each step, summed over its terms.
    """

    recipe: str
    version: int
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Deviation:
    """The first step at which a recipe does something else than was pinned."""

    recipe: str
    step: int
    pinned: float
    found: float

    def __str__(self) -> str:
        return (
            f"{self.recipe}: the loss of step {self.step} is {self.found:.6g} and was pinned as "
            f"{self.pinned:.6g}"
        )


def trace(name: str) -> Trace:
    """Train a recipe's smoke scale for a few steps on the CPU and return its losses.

    Raises: RunnerError: whatever is wrong with the recipe.
    """
    import torch

    loaded = load(name, is_smoke=True, sets=_SETS)
    assembled = assemble(
        loaded,
        Machine(workers=0),
        device=torch.device("cpu"),
        processes=Processes(),
        fingerprint="",
    )
    run = replace(assembled.run, val_batches=None)
    losses = [event.values["train/loss"] for event in train(run) if isinstance(event, Stepped)]
    return Trace(name, loaded.recipe.version or 0, tuple(losses))


def deviation(pinned: Trace, found: Trace) -> Deviation | None:
    """Return the first step whose loss is not the pinned one, up to rounding."""
    missing = float("nan")
    for step in range(max(len(pinned.losses), len(found.losses))):
        wanted, got = (
            each.losses[step] if step < len(each.losses) else missing for each in (pinned, found)
        )
        if not math.isclose(wanted, got, rel_tol=TOLERANCE, abs_tol=1e-6):
            return Deviation(pinned.recipe, step + 1, wanted, got)
    return None


def largest_difference(pinned: Trace, found: Trace) -> float:
    """Return by how much losses differ at most, relative to the pinned one."""
    pairs = zip(pinned.losses, found.losses, strict=True)
    return max(abs(got - wanted) / max(abs(wanted), 1e-6) for wanted, got in pairs)


def read_traces(folder: Path) -> dict[str, Trace]:
    """Read the pinned traces of a folder of recipes; none where there is no file.

    Raises: RecipeError: the file cannot be read.
    """
    file = folder / TRACE
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))[1:]
        traces = [Trace(row[0], int(row[1]), tuple(map(float, row[2:]))) for row in rows]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, IndexError) as error:
        message = f"is no table of losses: {error}; take it back from git"
        raise RecipeError(Problem(str(file), "", message)) from error
    return {each.recipe: each for each in traces}


def write_traces(folder: Path, traces: Iterable[Trace]) -> Path:
    """Replace the pinned traces, a line for each recipe; return the file.

    Raises: MachineError: it cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["recipe", "version", *range(1, STEPS + 1)])
    for each in sorted(traces, key=lambda each: each.recipe):
        table.writerow([each.recipe, each.version, *(f"{loss:.7g}" for loss in each.losses)])
    file = folder / TRACE
    try:
        file.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        message = f"cannot be written: {error.strerror}; make the folder writable"
        raise MachineError(Problem(str(file), "", message)) from error
    return file
