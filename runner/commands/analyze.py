"""Measure the data of a recipe, find bad files, and say what follows."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runner import render
from runner.commands.analyze_summary import summary
from runner.errors import DataError, MachineError, Problem
from runner.language.load import load
from runner.language.machine import machine_in_use
from runner.statistics import analysis_folder

if TYPE_CHECKING:
    from runner.insight.analysis import Analysis

EXAMPLE = "runner analyze uav_fixed --data DIR --verify"

T = TypeVar("T")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("recipe", metavar="RECIPE", help="a name, a path or a run folder")
    parser.add_argument("--data", metavar="DIR", help="data root, in place of the recipe's")
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="overlay a value; repeatable"
    )
    parser.add_argument(
        "--verify", action="store_true", help="decode every file strictly and name all bad ones"
    )
    parser.add_argument(
        "--similar-bits", type=int, choices=range(17), default=8, metavar="N",
        help="bits of 64 in which the hashes of images may differ that are compared across "
        "splits (default 8)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="folder of analysis.json and plots (default: analysis/RECIPE in the runs folder)",
    )  # fmt: skip
    parser.add_argument(
        "--write-patch", type=Path, metavar="FILE.yaml",
        help="write what follows as a draft that extends the recipe",
    )  # fmt: skip
    parser.add_argument(
        "--machine", type=Path, metavar="FILE", help="machine profile (or RUNNER_MACHINE)"
    )
    parser.add_argument("--json", action="store_true", help="print analysis.json")


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, write; exit code 3 where data are unfit to be trained on."""
    # Imported here: the help needs neither numpy nor OpenCV.
    from runner.insight.analysis import analyze
    from runner.insight.analysis_patch import (
        changes_for,
        draft,
        remarks_for,
        require_place,
        weightless,
    )

    machine = machine_in_use(arguments.machine)
    loaded = load(arguments.recipe, sets=arguments.set, data=arguments.data)
    if arguments.write_patch is not None:
        require_place(loaded, arguments.write_patch)
    render.show_progress_of("runner.data.volumes.store")
    found = analyze(
        loaded,
        machine,
        verify=arguments.verify,
        similar_bits=arguments.similar_bits,
        watch=_watched,
    )
    if found.statistics is None:
        raise DataError(found.problems)
    changes = changes_for(loaded, found.statistics)
    remarks, lacking = remarks_for(loaded, found.statistics), weightless(found.statistics)
    if arguments.json:
        render.show(found.statistics.model_dump_json(by_alias=True, indent=2))
    else:
        render.show(summary(loaded.name, found, changes, remarks, lacking))
    if found.problems:
        render.note("nothing is written: the figures lack what could not be read")
        raise DataError(found.problems)
    _write(found, arguments.out or analysis_folder(Path(machine.runs).expanduser(), loaded.name))
    if arguments.write_patch is not None:
        warned = [f"{each.kind}: {each.message}" for each in remarks if each.level == "warning"]
        notes = [*warned, *([lacking] if lacking else [])]
        text = draft(loaded, changes, arguments.data, notes)
        with _written(arguments.write_patch):
            arguments.write_patch.parent.mkdir(parents=True, exist_ok=True)
            arguments.write_patch.write_text(text, encoding="utf-8")
        render.note(f"draft: {arguments.write_patch}")
    return 0


def _write(found: "Analysis", folder: Path) -> None:
    """Write ``analysis.json`` and the plots."""
    from runner.insight.analysis_plots import draw_plots

    assert found.statistics is not None, "what could not be opened is not written"
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        text = found.statistics.model_dump_json(by_alias=True, indent=2)
        (folder / "analysis.json").write_text(text + "\n", encoding="utf-8")
        plots = draw_plots(found.statistics, found.tallies, folder)
    names = ", ".join(["analysis.json", *(path.name for path in plots)])
    render.note(f"written to {folder}: {names}")


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"cannot be written: {error.strerror}; name another place"
        raise MachineError(Problem(str(path), "", message)) from error


def _watched(doing: str, length: int, iterator: Iterator[T], /) -> Iterator[T]:
    """Show a bar while a person watches; nothing in a log."""
    if not sys.stderr.isatty():
        return iterator
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return iter(track(iterator, doing, total=length, console=console, transient=True))
