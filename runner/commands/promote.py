"""Publish a draft, or a run's overrides, as a child recipe whose reasons are to be filled in."""

import argparse
from pathlib import Path

from runner import render
from runner.errors import MachineError, Problem, RecipeError
from runner.language.load import Loaded
from runner.language.lock_file import Lock, read_lock
from runner.language.promote import draft_of_file, draft_of_run, promoted
from runner.language.source import published_folder, shown_path

EXAMPLE = "runner promote mine.yaml --name uav_night"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("draft", metavar="RUN|FILE", help="a run folder, or a draft")
    parser.add_argument("--name", required=True, metavar="N", help="of the new recipe")


def run(arguments: argparse.Namespace) -> int:
    """Write the recipe under the published ones and say what is left to do."""
    if arguments.plugin:
        message = "a published recipe names no own parts; put them under runner/parts first"
        raise RecipeError(Problem("--plugin", "", message))
    folder = published_folder()
    file, lock = folder / f"{arguments.name}.yaml", read_lock(folder)
    draft, base = _draft(arguments.draft, lock)
    text = promoted(draft, base, arguments.name, lock)
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError as error:
        message = "is there already and stays as it is; choose another name"
        raise RecipeError(Problem(shown_path(file), "--name", message)) from error
    except OSError as error:
        message = f"cannot be written: {error.strerror}; make the folder writable"
        raise MachineError(Problem(shown_path(file), "", message)) from error
    render.show(shown_path(file))
    render.note(f"say why in each group of changes, then: runner validate {arguments.name}")
    return 0


def _draft(reference: str, lock: Lock) -> tuple[Loaded, Loaded]:
    folder = Path(reference)
    if not folder.is_dir():
        return draft_of_file(reference)
    from runner.engine.folder import read_run

    record = read_run(folder)
    if record is None:
        message = "holds no run; name a run folder, or a draft's file"
        raise RecipeError(Problem(reference, "", message))
    if record.plugins:
        message = "a published recipe names no own parts; put them under runner/parts first"
        raise RecipeError(Problem(reference, "plugins", message))
    if not record.overrides:
        message = f"was run as {record.recipe} is written, without --set: nothing to publish"
        raise RecipeError(Problem(reference, "", message))
    return draft_of_run(record.recipe, record.overrides, record.recipe_fingerprint, lock)
