"""Load a recipe: read, overlay, resolve and check, with every problem at its line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runner.errors import Problem, RecipeError
from runner.language.check import check, in_order
from runner.language.document import Key, Place, dotted
from runner.language.folders import SAMPLE_PREFIX
from runner.language.legible import legible
from runner.language.misfits import misfits
from runner.language.overlay import Source, overlay, swaps_part, value_at
from runner.language.plugins import load_plugins_of_run
from runner.language.recipe import (
    Recipe,
    Scale,
    fingerprint_of_meaning,
    fingerprint_of_run,
)
from runner.language.source import assignments, find, published_folder, read


@dataclass(frozen=True)
class Loaded:
    """A recipe ready to be built, and where it came from.

    Attributes:
        name: of the recipe: its file's stem, or what a run's flat recipe says.
        recipe: with overlays, ``--set``, seed and data root applied.
        written: without them: what the file means.
        source: of ``recipe``, with the place of every key.
        overrides: the ``--set`` texts.
    """

    name: str
    recipe: Recipe
    written: Recipe
    source: Source
    overrides: tuple[str, ...] = ()

    @property
    def extends(self) -> str | None:
        """The name of the recipe that it extends."""
        return self.source.chain[-2].stem if len(self.source.chain) > 1 else None

    @cached_property
    def base(self) -> "Loaded | None":
        """The recipe that it extends, as written and of the same revision; None for a root."""
        if len(self.source.chain) < 2:
            return None
        path, revision = self.source.chain[-2], self.source.revision
        return _as_written(path.stem, read(path, revision))

    @property
    def scale(self) -> Scale:
        """Whether the recipe is run as written, on the embedded sample, or for a smoke test."""
        return self.recipe.scale

    @property
    def run_folder(self) -> Path | None:
        """The folder of the run whose recipe it is; None of a recipe that is no run's."""
        file = self.source.chain[-1]
        is_run = "name" in self.source.own and file.with_name("run.json").is_file()
        return file.parent if is_run else None

    @cached_property
    def recipe_fingerprint(self) -> str:
        """Of the recipe as written."""
        return fingerprint_of_meaning(self.written)

    def run_fingerprint(self, plugins: Mapping[str, str] | None = None) -> str:
        """Of all that the run depends on."""
        return fingerprint_of_run(self.recipe, plugins or {})

    def flat(self) -> dict[str, Any]:
        """Return the run's recipe: resolved, without a base, reloadable to the same fingerprint."""
        left_out = ("extends", "changes", "observed", "allow", "sample", "smoke")
        data = {key: value for key, value in self.recipe.dump().items() if key not in left_out}
        return {**data, "name": self.name}


def load(
    reference: str,
    *,
    sets: Sequence[str] = (),
    data: str | None = None,
    seed: int | None = None,
    is_smoke: bool = False,
    is_full: bool = False,
) -> Loaded:
    """Load a recipe by name, path, run folder, or name at a revision of git.

    Args:
        reference: what the user typed.
        sets: ``KEY=VALUE`` texts; they win over everything else.
        data: the data's root, in place of the recipe's.
        seed: in place of the recipe's.
        is_smoke: lay the ``smoke`` block over it.
        is_full: lay no ``sample`` block over it, whatever its data are: to speak of, not to train.
    Raises: RecipeError: every problem, each with the file and line to mend.
    """
    name, source = _read_reference(reference)
    texts = list(sets)
    if data == "":
        message = "is empty; name the data's folder, or . for the one you are in"
        raise RecipeError(Problem("--data", "", message))
    if data is not None:
        texts.append(f"data.params.root={_quoted(data)}")
    if seed is not None:
        texts.append(f"train.seed={seed}")
    problems: dict[Problem, None] = {}
    own_sets: Sequence[Source] = ()
    with _collected(problems, source):
        own_sets = assignments(texts)
    is_flat = "name" in source.own
    scaled = source if is_flat or is_full else _scaled(source, own_sets, is_smoke)
    for each in own_sets:
        scaled = overlay(scaled, each)
    with _collected(problems, source):
        written = recipe = check(source)
    if scaled is not source:
        with _collected(problems, scaled):
            recipe = check(scaled)
    if problems:
        raise RecipeError(in_order(problems))
    return Loaded(name, recipe, written, scaled, tuple(sets))


@contextmanager
def _collected(problems: dict[Problem, None], source: Source) -> Iterator[None]:
    """Add what the block finds wrong, and was not said of this source's keys before."""
    try:
        yield
    except RecipeError as error:
        problems |= dict.fromkeys(_unsaid(error.problems, problems, source))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _scaled(source: Source, own_sets: Sequence[Source], is_smoke: bool) -> Source:
    """Lay the root recipe's ``sample`` and ``smoke`` blocks over a recipe, where they apply."""
    overridden = source
    for each in own_sets:
        overridden = overlay(overridden, each)
    root: Any = overridden.data
    for name in ("data", "params", "root"):
        root = root.get(name) if isinstance(root, dict) else None
    blocks: list[Scale] = []
    if isinstance(root, str) and root.startswith(SAMPLE_PREFIX) and "sample" in source.data:
        blocks.append("sample")
    if is_smoke:
        blocks.append("smoke")
    return _laid_over(source, blocks) if blocks else source


def _laid_over(source: Source, blocks: Sequence[Scale]) -> Source:
    scenario_root = read(source.chain[0], source.revision) if len(source.chain) > 1 else source
    scaled = source
    for name in blocks:
        block = source.data.get(name)
        if block is None and name == "smoke" and isinstance(source.data.get("train"), dict):
            scaled = overlay(scaled, _few_steps())
        elif isinstance(block, dict):
            kept = _still_named(block, scenario_root.data, source.data)
            scaled = overlay(scaled, _block_source(source, name, kept))
    place = Place(f"scale {blocks[-1]}")
    return overlay(scaled, Source({"scale": blocks[-1]}, {(): place, ("scale",): place}))


def _still_named(block: Any, root: Any, child: Any) -> Any:
    """Leave out of an overlay what names a part that the child has swapped for another."""
    if not all(isinstance(each, dict) for each in (block, root, child)):
        return block
    kept = {}
    for name, value in block.items():
        below, own = root.get(name), child.get(name)
        if isinstance(below, dict) and isinstance(own, dict) and swaps_part(below, own):
            value = _of_parts_kept(value, below, own)
            if not value:
                continue
        kept[name] = _still_named(value, below, own)
    return kept


def _of_parts_kept(block: Any, root: Any, child: Any) -> dict[str, Any]:
    """Leave in an overlay of a swapped part what is about parts that both name within it.

    A net is shrunk alike, whichever task trains it.
    """
    own, below, above = (_params(each) for each in (block, root, child))
    params = {key: v for key, v in own.items() if _is_same_part(below.get(key), above.get(key))}
    return {"params": params} if params else {}


def _params(part: Any) -> dict[str, Any]:
    params = part.get("params") if isinstance(part, dict) else None
    return params if isinstance(params, dict) else {}


def _is_same_part(one: Any, other: Any) -> bool:
    are_parts = all(isinstance(each, dict) and "name" in each for each in (one, other))
    return are_parts and one["name"] == other["name"]


def _few_steps() -> Source:
    """Return the ``smoke`` block of a recipe that has none: two steps of all else as it is."""
    keys: list[Key] = [("train",), ("train", "compress_to_steps"), ("train", "log_every")]
    data = {"train": {"compress_to_steps": 2, "log_every": 1}}
    return Source(data, dict.fromkeys(keys, Place("scale smoke")))


def _block_source(source: Source, name: str, kept: Any) -> Source:
    places = {key[1:]: place for key, place in source.places.items() if key[0:1] == (name,)}
    # A place of what was left out would be blamed for what the child wrote in its stead.
    return Source(kept, {key: place for key, place in places.items() if _is_in(kept, key)})


def _is_in(data: Any, key: Key) -> bool:
    above = value_at(data, key[:-1])
    return not key or isinstance(above, list) or (isinstance(above, dict) and key[-1] in above)


def load_written(reference: str) -> Loaded:
    """Load a recipe as its file says, without overlays: for ``validate``, ``show``, ``diff``."""
    return _as_written(*_read_reference(reference))


def _read_reference(reference: str) -> tuple[str, Source]:
    """Read what the user named; a run's own parts come first, as its recipe names them."""
    path, revision = find(reference)
    if Path(reference).is_dir():
        load_plugins_of_run(Path(reference))
    source = read(path, revision)
    if "name" in source.own:
        return str(source.own["name"]), source
    return revision.name(path) if revision else path.stem, source


def _as_written(name: str, source: Source) -> Loaded:
    recipe = check(source)
    return Loaded(name, recipe, recipe, source)


def load_at_every_scale(reference: str) -> Loaded:
    """Load a recipe as its file says, and hold its ``sample`` and ``smoke`` to the schema too.

    A child is held to the overlay that its training would be laid over with, and no other: it may
    have left the scenario's sample for data of its own.

    Raises: RecipeError: the problems of all of them.
    """
    name, source = _read_reference(reference)
    is_root, is_flat = len(source.chain) == 1, "name" in source.own
    sources = [source]
    if is_root and not is_flat:
        sources += [_laid_over(source, ["sample"]), _laid_over(source, ["smoke"])]
    elif not is_flat and (trained := _scaled(source, (), is_smoke=False)) is not source:
        sources.append(trained)
    problems: dict[Problem, None] = {}
    recipes = []
    for each in sources:
        found: Sequence[Problem] = ()
        try:
            recipe = check(each)
            recipes.append(recipe)
        except RecipeError as error:
            found, recipe = error.problems, legible(each)
        found = [*found, *misfits(recipe, each)]
        problems |= dict.fromkeys(_unsaid(found, problems, each))
    if problems:
        raise RecipeError(in_order(problems))
    return Loaded(name, recipes[0], recipes[0], source)


def _unsaid(found: Sequence[Problem], said: Iterable[Problem], source: Source) -> list[Problem]:
    """Leave out what was said of a key that nobody wrote: another scale moves its place alone.

    It moves that of a block, too, of which it writes a key.
    """
    written = {
        dotted(key) for key in source.places if not isinstance(value_at(source.data, key), dict)
    }
    known = {(each.key, each.message) for each in said}
    return [each for each in found if each.key in written or (each.key, each.message) not in known]


def is_published(path: Path) -> bool:
    """Whether a recipe is published, so that ``version`` and ``changes`` bind."""
    return path.resolve().parent == published_folder().resolve()
