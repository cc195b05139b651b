"""Check recipes: every problem at once, each at its file and line."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from runner import render
from runner.counting import number_of
from runner.errors import Problem, RecipeError
from runner.language.known import statistics_at_hand
from runner.language.lints.lint import Concern
from runner.language.lints.table import concerns, needlessly_allowed, unknown_allowed
from runner.language.load import Loaded, load_at_every_scale
from runner.language.lock import additions, check_lock, is_held
from runner.language.lock_file import Lock, read_lock, write_lock
from runner.language.machine import expanded, machine_in_use
from runner.language.source import published, published_folder, shown_path
from runner.language.versions import check_published

EXAMPLE = "runner validate uav_fixed my_recipe.yaml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help="all published recipes by default"
    )
    parser.add_argument(
        "--write-lock",
        action="store_true",
        help="add versions that are not in recipes.lock yet; what is there stays",
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit 2 where a lint is not allowed by its recipe"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print problems and lints, and one line for each recipe that has no problem."""
    if arguments.write_lock and arguments.recipes:
        message = "looks at all published recipes; leave out " + ", ".join(arguments.recipes)
        raise RecipeError(Problem("--write-lock", "", message))
    found: list[Problem] = []
    sound: dict[str, Loaded] = {}
    said: dict[str, list[Concern]] = {}
    for reference in arguments.recipes or published():
        try:
            loaded = load_at_every_scale(reference)
            said[reference] = _linted(loaded)
            sound[reference] = loaded
        except RecipeError as error:
            found += error.problems
    lock, against_lock = _hold(list(sound.values()), arguments, is_sound=not found)
    problems = list(dict.fromkeys([*found, *against_lock]))
    blamed = {problem.place.rpartition(":")[0] for problem in problems}
    # What a child inherits is blamed at its base's line, and is the child's problem all the same.
    fingerprints = {
        name: loaded.recipe_fingerprint
        for name, loaded in sound.items()
        if shown_path(loaded.source.chain[-1]) not in blamed and is_held(loaded, lock)
    }
    if arguments.json:
        render.show(_document(problems, fingerprints, said))
    else:
        for name, fingerprint in fingerprints.items():
            render.show(f"{name}: ok ({fingerprint})")
        if problems:
            render.complain("\n".join(map(str, problems)))
        for name, each in said.items():
            if each:
                render.note(render.lints(name, each))
    is_doubtful = any(not each.allowed for name in said for each in said[name])
    return RecipeError.exit_code if problems or (arguments.strict and is_doubtful) else 0


def _linted(loaded: Loaded) -> list[Concern]:
    """Return what the lints say of a recipe.

    Raises: RecipeError: what is wrong with it as a published one, or with what it allows.
    """
    statistics = statistics_at_hand(loaded, expanded(machine_in_use().runs))
    said = concerns(loaded, statistics)
    # The user's data in the place of a sample take nothing from what a recipe's author allowed.
    is_measured = statistics is not None and statistics.root == loaded.recipe.root
    problems = [
        *check_published(loaded),
        *unknown_allowed(loaded),
        *needlessly_allowed(loaded, said, is_measured=is_measured),
    ]
    if problems:
        raise RecipeError(problems)
    return said


def _document(
    problems: Sequence[Problem],
    fingerprints: Mapping[str, str],
    said: Mapping[str, Sequence[Concern]],
) -> str:
    rows = [{"place": p.place, "key": p.key, "message": p.message} for p in problems]
    lints = [asdict(concern) for each in said.values() for concern in each]
    return json.dumps({"problems": rows, "recipes": fingerprints, "lints": lints}, indent=2)


def _hold(
    recipes: list[Loaded], arguments: argparse.Namespace, *, is_sound: bool
) -> tuple[Lock, list[Problem]]:
    """Hold recipes against the lock, and add to it where that is asked for and nothing is wrong."""
    lock = read_lock(published_folder())
    is_whole = not arguments.recipes and is_sound
    if not arguments.write_lock:
        return lock, check_lock(recipes, lock, is_whole=is_whole)
    grown = additions(recipes, lock) if is_sound else lock
    problems = check_lock(recipes, grown, is_whole=is_whole)
    if is_sound and not problems and grown != lock:
        write_lock(grown)
        added = len(grown.entries) - len(lock.entries)
        render.note(f"{grown.file}: {number_of(added, 'entries')} added")
    return grown, problems
