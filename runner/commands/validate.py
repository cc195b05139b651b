"""Check recipes: every problem at once, each at its file and line."""

import argparse
import json

from runner import render
from runner.errors import Problem, RecipeError
from runner.language.load import Loaded, load_at_every_scale
from runner.language.lock import additions, check_lock
from runner.language.lock_file import read_lock, write_lock
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
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print problems, or one line for each recipe that has none."""
    if arguments.write_lock and arguments.recipes:
        message = "looks at all published recipes; leave out " + ", ".join(arguments.recipes)
        raise RecipeError(Problem("--write-lock", "", message))
    found: dict[str, list[Problem]] = {}
    sound: dict[str, Loaded] = {}
    for reference in arguments.recipes or published():
        try:
            loaded = load_at_every_scale(reference)
            if problems := check_published(loaded):
                raise RecipeError(problems)
            sound[reference] = loaded
        except RecipeError as error:
            found[reference] = list(error.problems)
    problems = [problem for each in found.values() for problem in each]
    problems += _lock_problems(list(sound.values()), arguments, is_sound=not problems)
    problems = list(dict.fromkeys(problems))
    blamed = {problem.place.rpartition(":")[0] for problem in problems}
    fingerprints = {
        name: loaded.recipe_fingerprint
        for name, loaded in sound.items()
        if shown_path(loaded.source.chain[-1]) not in blamed
    }
    if arguments.json:
        rows = [{"place": p.place, "key": p.key, "message": p.message} for p in problems]
        render.show(json.dumps({"problems": rows, "recipes": fingerprints}, indent=2))
    else:
        for name, fingerprint in fingerprints.items():
            render.show(f"{name}: ok ({fingerprint})")
        if problems:
            render.complain("\n".join(map(str, problems)))
    return RecipeError.exit_code if problems else 0


def _lock_problems(
    recipes: list[Loaded], arguments: argparse.Namespace, *, is_sound: bool
) -> list[Problem]:
    """Hold recipes against the lock, and add to it where that is asked for and nothing is wrong."""
    lock = read_lock(published_folder())
    is_whole = not arguments.recipes and is_sound
    if not arguments.write_lock:
        return check_lock(recipes, lock, is_whole=is_whole)
    grown = additions(recipes, lock) if is_sound else lock
    problems = check_lock(recipes, grown, is_whole=is_whole)
    if is_sound and not problems and grown != lock:
        write_lock(grown)
        added = len(grown.entries) - len(lock.entries)
        render.note(f"{grown.file}: {added} entries added")
    return problems
