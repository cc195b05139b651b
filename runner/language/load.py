"""Load a recipe: read, overlay, resolve and check, with every problem at its line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runner.errors import Problem, RecipeError
from runner.language.document import Key, Place
from runner.language.overlay import Source, overlay, swaps_part
from runner.language.plugins import load_plugins_of_run
from runner.language.recipe import (
    Recipe,
    Scale,
    fingerprint_of_meaning,
    fingerprint_of_run,
)
from runner.language.references import resolve
from runner.language.source import assignments, find, published_folder, read

SAMPLE_PREFIX = "sample:"

_WORDING = {
    "missing": "is required",
    "extra_forbidden": "nothing reads this key",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "string_type": "should be text",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
}


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

    @property
    def scale(self) -> Scale:
        """Whether the recipe is run as written, on the embedded sample, or for a smoke test."""
        return self.recipe.scale

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
) -> Loaded:
    """Load a recipe by name, path, run folder, or name at a revision of git.

    Args:
        reference: what the user typed.
        sets: ``KEY=VALUE`` texts; they win over everything else.
        data: the data's root, in place of the recipe's.
        seed: in place of the recipe's.
        is_smoke: lay the ``smoke`` block over it.
    Raises: RecipeError: every problem, each with the file and line to mend.
    """
    name, source = _read_reference(reference)
    texts = list(sets)
    if data is not None:
        texts.append(f"data.params.root={_quoted(data)}")
    if seed is not None:
        texts.append(f"train.seed={seed}")
    own_sets = assignments(texts)
    is_flat = "name" in source.own
    _check_blocks(source)
    written = check(source)
    scaled = source if is_flat else _scaled(source, own_sets, is_smoke)
    for each in own_sets:
        scaled = overlay(scaled, each)
    recipe = written if scaled is source else check(scaled)
    return Loaded(name, recipe, written, scaled, tuple(sets))


def check(source: Source) -> Recipe:
    """Check a merged source against the schema.

    Raises: RecipeError: every problem at its file and line.
    """
    resolved = resolve(source)
    try:
        return Recipe.model_validate(resolved.data)
    except ValidationError as error:
        raise RecipeError(problems_of(error, resolved)) from None


def problems_of(error: ValidationError, source: Source) -> list[Problem]:
    """Return pydantic's findings as problems, one for each key."""
    messages: dict[Key, list[str]] = {}
    for each in error.errors(include_url=False):
        key = _written_key(each["loc"], source.data, is_missing=each["type"] == "missing")
        message = _WORDING.get(each["type"], each["msg"].removeprefix("Input ").strip())
        if each["type"] not in ("missing", "part", "rule", "unknown_key") and _is_scalar(
            each["input"]
        ):
            message += f", not {each['input']!r}"
        found = messages.setdefault(key, [])
        if message not in found:
            found.append(message)
    ordered = sorted(messages, key=lambda key: (source.place(key).file, source.place(key).line))
    return [source.problem(key, "; or ".join(messages[key])) for key in ordered]


def _written_key(loc: tuple[int | str, ...], data: Any, *, is_missing: bool) -> Key:
    """Drop what pydantic adds to a location to tell the members of a union apart."""
    key: list[str | int] = []
    for position, part in enumerate(loc):
        is_last = position == len(loc) - 1
        if isinstance(data, dict) and (part in data or (is_last and is_missing)):
            key.append(part)
            data = data.get(str(part))
        elif part == "params" and isinstance(data, dict) and "name" in data:
            # A part without params has its defaults, and may lack a required one.
            key.append(part)
            data = {}
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            key.append(part)
            data = data[part]
        elif not isinstance(data, dict | list) or is_last or isinstance(part, int):
            break
    return tuple(key)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _check_blocks(source: Source) -> None:
    """Hold ``sample`` and ``smoke`` to the root recipe: no version may be tuned by them."""
    if len(source.chain) < 2 or not (source.own.keys() & {"sample", "smoke"}):
        return
    blocks = [key for key in ("sample", "smoke") if key in source.own]
    raise RecipeError(
        source.problem(
            (key,), "stands in the root recipe of a scenario alone, the same for all versions"
        )
        for key in blocks
    )


def _scaled(source: Source, own_sets: Sequence[Source], is_smoke: bool) -> Source:
    """Lay the root recipe's ``sample`` and ``smoke`` blocks over a recipe, where they apply."""
    overridden = source
    for each in own_sets:
        overridden = overlay(overridden, each)
    root: Any = overridden.data
    for name in ("data", "params", "root"):
        root = root.get(name) if isinstance(root, dict) else None
    scale: Scale = "full"
    blocks = []
    if isinstance(root, str) and root.startswith(SAMPLE_PREFIX) and "sample" in source.data:
        scale = "sample"
        blocks.append("sample")
    if is_smoke:
        scale = "smoke"
        blocks.append("smoke")
    if not blocks:
        return source
    scenario_root = read(source.chain[0], source.revision)
    scaled = source
    for name in blocks:
        block = source.data.get(name)
        if isinstance(block, dict):
            kept = _still_named(block, scenario_root.data, source.data)
            scaled = overlay(scaled, _block_source(source, name, kept))
    place = Place(f"scale {scale}")
    return overlay(scaled, Source({"scale": scale}, {(): place, ("scale",): place}))


def _still_named(block: Any, root: Any, child: Any) -> Any:
    """Leave out of an overlay what names a part that the child has swapped for another."""
    if not all(isinstance(each, dict) for each in (block, root, child)):
        return block
    kept = {}
    for name, value in block.items():
        below, own = root.get(name), child.get(name)
        if isinstance(below, dict) and isinstance(own, dict) and swaps_part(below, own):
            continue
        kept[name] = _still_named(value, below, own)
    return kept


def _block_source(source: Source, name: str, kept: Any) -> Source:
    places = {key[1:]: place for key, place in source.places.items() if key[0:1] == (name,)}
    return Source(kept, places)


def load_written(reference: str) -> Loaded:
    """Load a recipe as its file says, without overlays: for ``validate``, ``show``, ``diff``."""
    return _as_written(*_read_reference(reference))


def load_base(loaded: Loaded) -> Loaded | None:
    """Load, as written and of the same revision, the recipe that another extends."""
    if len(loaded.source.chain) < 2:
        return None
    path, revision = loaded.source.chain[-2], loaded.source.revision
    return _as_written(path.stem, read(path, revision))


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
    _check_blocks(source)
    recipe = check(source)
    return Loaded(name, recipe, recipe, source)


def is_published(path: Path) -> bool:
    """Whether a recipe is published, so that ``version`` and ``changes`` bind."""
    return path.resolve().parent == published_folder().resolve()
