"""Hold a merged source against the schema, with every problem at its line and none said twice."""

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from runner.errors import Problem, RecipeError
from runner.language.document import dotted
from runner.language.overlay import Source
from runner.language.recipe import Recipe
from runner.language.references import references_in, resolve
from runner.language.wording import problems_of


def check(source: Source) -> Recipe:
    """Check a merged source against the schema.

    Raises: RecipeError: every problem at its file and line.
    """
    told = [*_misplaced_blocks(source), *source.problems]
    doubtful = [(each.place, each.key) for each in told]
    resolved = source
    try:
        resolved = resolve(source)
    except RecipeError as error:
        told += error.problems
        doubtful += [(str(source.place(key)), dotted(key)) for key, _ in references_in(source)]
    try:
        is_child = len(source.chain) > 1
        recipe = Recipe.model_validate(resolved.data, context={"is_child": is_child})
    except ValidationError as error:
        told += [each for each in problems_of(error, resolved) if not _follows(each, doubtful)]
    if told:
        raise RecipeError(in_order(told))
    return recipe


def _follows(found: Problem, doubtful: Sequence[tuple[str, str]]) -> bool:
    """Whether it is wrong only because a value at or below it could not be read for certain."""
    for place, key in doubtful:
        is_at = place == found.place and f"{found.key}.".startswith(f"{key}.")
        # Where a value may be of several kinds, it is found to be none of them.
        is_above = key.startswith(f"{found.key}.") and found.message.startswith("should be ")
        if is_at or is_above:
            return True
    return False


def _misplaced_blocks(source: Source) -> list[Problem]:
    """Hold ``sample`` and ``smoke`` to the root recipe: no version may be tuned by them."""
    is_child = len(source.chain) > 1
    message = "stands in the root recipe of a scenario alone, the same for all versions; remove it"
    blocks = [key for key in ("sample", "smoke") if is_child and key in source.own]
    return [source.problem((key,), message) for key in blocks]


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems file by file, each file's in the order of its lines."""
    files: dict[str, int] = {}

    def rank(problem: Problem) -> tuple[int, int]:
        file, _, line = problem.place.rpartition(":")
        if not line.isdigit():
            file, line = problem.place, "0"
        return files.setdefault(file, len(files)), int(line)

    return sorted(problems, key=rank)
