"""What each recipe does: losses and rates of a few steps on the CPU, pinned beside the lock."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
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
_FIGURES = {"loss": "train/loss", "lr": "train/lr"}

# The whole plan in so few steps, so that warm-up, restarts and ramps all take part; evaluations
# would cost more than the steps and change no loss.
_SETS = (f"train.compress_to_steps={STEPS}", "train.log_every=1", "train.panels=0")


@dataclass(frozen=True)
class Trace:
    """What one version of a recipe does.

    Attributes:
        recipe: its name.
        version: of the recipe.
        figures: ``loss``, summed over its terms, and ``lr``, each with a value for each step.
    """

    recipe: str
    version: int
    figures: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Deviation:
    """The first step at which a recipe does something else than was pinned."""

    recipe: str
    figure: str
    step: int
    pinned: float
    found: float

    def __str__(self) -> str:
        return (
            f"{self.recipe}: {self.figure} of step {self.step} is {self.found:.6g} and was pinned "
            f"as {self.pinned:.6g}"
        )


def tolerance(figure: str, step: int) -> float:
    """Return by how much a figure may be off, relative to the pinned one.

    Learning rates are arithmetic. Losses are rounded otherwise by another processor, number of
    threads or release of torch, and training makes more of it at each step: with two threads, with
    oneDNN off or with SSE4 instructions alone, the losses of all recipes were off by 6e-7 at most
    at step 1, by 4e-4 at step 2, by 1e-3 at step 10 and by 5e-3 at step 20.
    """
    if figure == "lr":
        return 1e-6
    return 1e-4 if step == 1 else 1e-3 * step


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
    stepped = [event for event in train(run) if isinstance(event, Stepped)]
    figures = {
        name: tuple(event.values[key] for event in stepped) for name, key in _FIGURES.items()
    }
    return Trace(name, loaded.recipe.version or 0, figures)


def deviation(pinned: Trace, found: Trace) -> Deviation | None:
    """Return the first step at which a figure is not the pinned one, up to rounding."""
    for step in range(1, STEPS + 1):
        for figure in _FIGURES:
            wanted, got = (_value(each, figure, step) for each in (pinned, found))
            if not math.isclose(wanted, got, rel_tol=tolerance(figure, step), abs_tol=1e-12):
                return Deviation(pinned.recipe, figure, step, wanted, got)
    return None


def _value(trace: Trace, figure: str, step: int) -> float:
    """Return a figure; NaN, which nothing is close to, where the trace has none."""
    values = trace.figures.get(figure, ())
    return values[step - 1] if step <= len(values) else math.nan


def largest_difference(pinned: Trace, found: Trace) -> float:
    """Return by how much losses differ at most, relative to the pinned one."""
    pairs = zip(pinned.figures["loss"], found.figures["loss"], strict=True)
    return max(abs(got - wanted) / max(abs(wanted), 1e-12) for wanted, got in pairs)


def read_traces(folder: Path) -> dict[str, Trace]:
    """Read the pinned traces of a folder of recipes; none where there is no file.

    Raises: RecipeError: the file cannot be read.
    """
    file = folder / TRACE
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))[1:]
        figures: dict[tuple[str, int], dict[str, tuple[float, ...]]] = {}
        for recipe, version, figure, *values in rows:
            figures.setdefault((recipe, int(version)), {})[figure] = tuple(map(float, values))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        message = f"is no table of traces: {error}; take it back from git"
        raise RecipeError(Problem(str(file), "", message)) from error
    return {key[0]: Trace(*key, each) for key, each in figures.items()}


def write_traces(folder: Path, traces: Iterable[Trace]) -> Path:
    """Replace the pinned traces, a line for each recipe and figure; return the file.

    Raises: MachineError: it cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["recipe", "version", "figure", *range(1, STEPS + 1)])
    for each in sorted(traces, key=lambda each: each.recipe):
        for figure, values in each.figures.items():
            told = [f"{value:.8g}" for value in values]
            table.writerow([each.recipe, each.version, figure, *told])
    file = folder / TRACE
    try:
        file.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        message = f"cannot be written: {error.strerror}; make the folder writable"
        raise MachineError(Problem(str(file), "", message)) from error
    return file
