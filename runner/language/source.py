"""Read a recipe over the recipes that it extends, with the place of every key."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from runner.errors import Problem, RecipeError
from runner.language.document import LARGEST_BYTES, Document, Key, Place, examine
from runner.language.folders import published, published_folder
from runner.language.overlay import Source, overlay, without
from runner.language.revisions import Revision, open_revision
from runner.language.upgrades import upgraded
from runner.registry import suggestion

__all__ = [
    "OWN_KEYS", "assignments", "find", "published", "published_folder", "read",
    "shown_path", "text_of",
]  # fmt: skip

OWN_KEYS = ("name", "version", "summary", "changes", "observed", "allow")
"""What a recipe says of itself alone and no child inherits."""


_NOT_SET = (*OWN_KEYS, "extends", "schema", "scenario", "scale", "sample", "smoke")


def find(reference: str) -> tuple[Path, Revision | None]:
    """Return the file that a recipe's name or path means, and the revision to read it from.

    Raises: RecipeError: there is none; the nearest published name is suggested.
    """
    if any(len(part.encode()) > 255 for part in Path(reference).parts):
        message = "no file has so long a name; name a recipe, or the path of one"
        raise RecipeError(Problem(reference[:40] + "...", "", message))
    if "@" in reference and not Path(reference).exists():
        return _find_revision(reference)
    return _find_file(reference), None


def _find_revision(reference: str) -> tuple[Path, Revision]:
    name, _, text = reference.partition("@")
    if not re.fullmatch(r"\w[\w-]*", name):
        message = "only the name of a published recipe takes @REVISION, as in uav_fixed@HEAD~3"
        raise RecipeError(Problem(reference, "", message))
    folder = published_folder()
    return folder / f"{name}.yaml", open_revision(folder, text, reference)


def _find_file(reference: str) -> Path:
    path = Path(reference)
    if path.is_dir() and (path / "recipe.yaml").is_file():
        return path / "recipe.yaml"
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        if path.is_file():
            return path
        raise RecipeError(
            Problem(reference, "", "no such recipe file or run folder; correct the path")
        )
    named = published_folder() / f"{reference}.yaml"
    if named.is_file():
        return named
    known = dict.fromkeys(published())
    raise RecipeError(
        Problem(reference, "", f"no recipe has this name; {suggestion(reference, known)}")
    )


def text_of(reference: str) -> str:
    """Return the text of the file that a recipe's name or path means.

    Raises: RecipeError: there is none, or it is no text.
    """
    path, revision = find(reference)
    return revision.read_text(path) if revision else _text_of(path)


def read(path: Path, revision: Revision | None = None) -> Source:
    """Read ``path``, merged over the recipes that it extends.

    Args:
        path: of the recipe.
        revision: to read it, and all that it extends, from; the disk where None.
    Raises: RecipeError: no such file, not a recipe, ``extends`` in a circle or out of its folder.
    """
    return _read(path, revision, ())


def _read(path: Path, revision: Revision | None, above: tuple[Path, ...]) -> Source:
    shown = revision.shown(path) if revision else shown_path(path)
    document = _parsed(revision.read_text(path) if revision else _text_of(path), shown)
    found = tuple(document.problems)
    if not isinstance(document.data, dict):
        message = "a recipe is a mapping of keys to values; write extends: uav_fixed, say"
        raise RecipeError([*found, Problem(f"{shown}:1", "", message)])
    places = {(): Place(shown, 1), **document.places}
    own = Source(document.data, places, (path,), revision=revision, problems=found)
    try:
        data = upgraded(document.data)
    except ValueError as error:
        raise RecipeError([*found, own.problem(("schema",), str(error))]) from None
    own = replace(own, data=data, own=dict(data))
    if "extends" not in own.data:
        return own
    try:
        below = _below(own, path, above)
    except RecipeError as error:
        raise RecipeError([*found, *error.problems]) from None
    merged = overlay(_inherited(below), without(own, ("extends",)))
    # What is missing altogether is missing from this file, not from its base.
    places = {**merged.places, (): own.places[()]}
    return replace(merged, places=places, chain=(*below.chain, path), own=own.data)


def _below(own: Source, path: Path, above: tuple[Path, ...]) -> Source:
    """Read what a recipe extends.

    Raises: RecipeError: it cannot be read, or goes in a circle.
    """
    base = _base(own, path)
    if base.resolve() in {each.resolve() for each in (*above, path)}:
        circle = " -> ".join(each.stem for each in (*above, path, base))
        raise RecipeError(own.problem(("extends",), f"goes in a circle: {circle}; extend another"))
    return _read(base, own.revision, (*above, path))


@lru_cache(maxsize=64)
def _parsed(text: str, shown: str) -> Document:
    """Parse a file once, however many recipes extend it; nobody changes what it returns."""
    return examine(text, shown)


def _base(own: Source, path: Path) -> Path:
    name = own.data["extends"]
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
        raise RecipeError(
            own.problem(
                ("extends",),
                "write the name of a published recipe (uav_fixed) or of a file of the same folder "
                "(mine.yaml)",
            )
        )
    if own.revision is not None:
        return path.with_name(name if Path(name).suffix in (".yaml", ".yml") else f"{name}.yaml")
    if Path(name).suffix in (".yaml", ".yml"):
        base = path.parent / name
        if not base.is_file():
            raise RecipeError(
                own.problem(
                    ("extends",), f"there is no file {name} in the recipe's folder; correct it"
                )
            )
        if base.resolve().parent != path.resolve().parent:
            raise RecipeError(
                own.problem(
                    ("extends",), f"{name} is a link out of the recipe's folder; copy the file here"
                )
            )
        return base
    try:
        return _find_file(name)
    except RecipeError as error:
        raise RecipeError(own.problem(("extends",), error.problems[0].message)) from None


def _inherited(base: Source) -> Source:
    return without(base, *((key,) for key in OWN_KEYS))


def _text_of(path: Path) -> str:
    shown = shown_path(path)
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise RecipeError(
                Problem(
                    shown,
                    "",
                    f"is larger than {LARGEST_BYTES >> 20} MiB; a recipe is a few kilobytes; "
                    "name another file",
                )
            )
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(
            Problem(
                shown, "", f"cannot be read: {error.strerror}; check the path and its permissions"
            )
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            Problem(shown, "", f"is not text in UTF-8: byte {error.start}; save it as UTF-8")
        ) from error


def shown_path(path: Path) -> str:
    """Return a file as the user would name it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def assignments(texts: Sequence[str]) -> list[Source]:
    """Read ``KEY=VALUE`` texts of ``--set``, each as a source to lay over a recipe.

    A value that YAML would misread is among its source's problems.

    Raises: RecipeError: no ``=``, no key, or a value that is not YAML.
    """
    found, problems = [], []
    for text in texts:
        place = f"--set {text}"
        name, equals, value = text.partition("=")
        key = tuple(name.split("."))
        if not equals or not all(key):
            problems.append(Problem(place, "", "write it as --set train.epochs=1"))
            continue
        if key[0] in _NOT_SET:
            message = "cannot be set for one run; write a recipe of your own that extends this one"
            problems.append(Problem(place, key[0], message))
            continue
        try:
            document = examine(value, place)
        except RecipeError as error:
            problems.extend(replace(each, place=place, key=name) for each in error.problems)
            continue
        data: Any = document.data
        doubtful = tuple(replace(each, place=place, key=name) for each in document.problems)
        places: dict[Key, Place] = {(): Place(place)}
        for length in range(len(key), 0, -1):
            places[key[:length]] = Place(place)
            data = {key[length - 1]: data}
        found.append(Source(data, places, problems=doubtful))
    if problems:
        raise RecipeError([*problems, *(each for source in found for each in source.problems)])
    return found
