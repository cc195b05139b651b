"""Which image of a folder belongs to which mask."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from runner.counting import number_of
from runner.data.cache import Stamp
from runner.data.files import problem
from runner.data.links import broken, broken_below
from runner.data.orientation import UPRIGHT
from runner.errors import DataError, Problem, RecipeError

SPLIT = "{split}"
STEM = "{stem}"

_FOLDERS = 8
"""Folders that are named where one is not there."""


@dataclass(frozen=True)
class Layout:
    """How images and masks are named, relative to the root.

    Attributes:
        images: with ``*`` for any part of a name, and ``{split}`` for the folder of a split.
        masks: the mask of an image: ``{stem}`` is the image's name without suffix, the n-th ``*``
            what the n-th ``*`` of ``images`` stands for, ``{split}`` the folder of the split.
    """

    images: str
    masks: str

    @property
    def has_split(self) -> bool:
        """Whether the splits are folders."""
        return SPLIT in self.images


@dataclass(frozen=True)
class Pair:
    """An image and its mask, both known to be readable as far as their headers go.

    Attributes:
        name: of the image, relative to the root.
        identity: what an image of the same content would be called in another split.
        image, mask: the files; None where an image that is not labelled has no mask.
        height, width: of both, in pixels.
        is_labelled: whether the mask may be trained on.
        orientation: of the image, as EXIF numbers it; it is not applied.
    """

    name: str
    identity: str
    image: Stamp
    mask: Stamp | None
    height: int
    width: int
    is_labelled: bool = field(default=True, kw_only=True)
    orientation: int = field(default=UPRIGHT, kw_only=True)


@dataclass(frozen=True)
class Named:
    """An image and its mask by name, not yet looked at."""

    name: str
    identity: str
    mask: str


def check_layout(layout: Layout) -> None:
    """Raise a RecipeError with all that is wrong with the patterns themselves."""
    problems = []
    for key, pattern in (("images", layout.images), ("masks", layout.masks)):
        key = f"data.params.{key}"
        place = PurePosixPath(pattern)
        if place.is_absolute() or ".." in place.parts or not place.parts:
            message = f"{pattern!r} leaves the root; write it relative to the root"
            problems.append(Problem("", key, message))
        allowed = {SPLIT, STEM} if key.endswith("masks") else {SPLIT}
        unknown = sorted({*re.findall(r"\{.*?\}", pattern)} - allowed)
        unknown += [each for each in ("**", "?", "[") if each in pattern]
        if unknown:
            message = (
                f"{', '.join(unknown)} has no meaning here; use * or {', '.join(sorted(allowed))}"
            )
            problems.append(Problem("", key, message))
    if layout.masks.count("*") > layout.images.count("*"):
        message = "has more * than data.params.images; each stands for what the image's stands for"
        problems.append(Problem("", "data.params.masks", message))
    if "*" not in layout.masks and STEM not in layout.masks:
        message = f"is the same file for every image; write {STEM} or * for what differs"
        problems.append(Problem("", "data.params.masks", message))
    if SPLIT in layout.masks and not layout.has_split:
        message = (
            f"has {SPLIT}, which stands for what data.params.images has at that place: nothing"
        )
        problems.append(Problem("", "data.params.masks", message))
    if problems:
        raise RecipeError(problems)


def find_images(root: Path, layout: Layout, split_folder: str = "") -> list[Named]:
    """Return what the image pattern matches, in order of name.

    Raises: DataError: it matches nothing, or a link that leads nowhere.
    """
    pattern = layout.images.replace(SPLIT, split_folder)
    parts = re.split(r"(\*|\{split\})", layout.images)
    known = {"*": "([^/]*)", SPLIT: re.escape(split_folder)}
    expression = re.compile("".join(known.get(part, re.escape(part)) for part in parts))
    if problems := broken_below(root, pattern):
        raise DataError(problems)
    found = []
    for path in sorted(root.glob(pattern)):
        name = path.relative_to(root).as_posix()
        match = expression.fullmatch(name)
        # Hidden files are what archives and file browsers leave behind (._0001.jpg).
        if match and path.is_file() and not path.name.startswith("."):
            stars = iter(match.groups())
            mask = re.sub(r"\*", lambda _, stars=stars: next(stars), layout.masks)  # type: ignore[misc]
            mask = mask.replace(STEM, path.stem).replace(SPLIT, split_folder)
            identity = layout.images.replace(SPLIT, "")
            for star in match.groups():
                identity = identity.replace("*", star, 1)
            found.append(Named(name, str(PurePosixPath(identity).with_suffix("")), mask))
    if not found:
        raise DataError(problem(root, _no_match(root, pattern, layout.has_split)))
    return found


def _no_match(root: Path, pattern: str, has_split: bool) -> str:
    folder = root / str(PurePosixPath(pattern).parent)
    if "*" in str(PurePosixPath(pattern).parent) or not folder.is_dir():
        keys = ["data.params.images", "data.params.root"]
        keys += ["data.params.splits.folders"] if has_split else []
        cure = f"correct {', '.join(keys[:-1])} or {keys[-1]}"
        return f"no image matches {pattern!r}{_lacking(root, pattern)}; {cure}"
    within = list(folder.iterdir())
    suffixes = Counter(each.suffix for each in within if each.is_file())
    kinds = [f"{count} *{suffix}" for suffix, count in suffixes.most_common(4)]
    if dead := [each for each in within if broken(each)]:
        kinds.append(f"{number_of(len(dead), 'links')} that lead nowhere, such as {min(dead).name}")
    held = ", ".join(kinds) or "no files"
    return f"no image matches {pattern!r} (that folder holds {held}); correct data.params.images"


def _lacking(root: Path, pattern: str) -> str:
    """Return the first folder of a pattern that is not there, and those that are."""
    above = root
    for name in PurePosixPath(pattern).parent.parts:
        if "*" in name:
            break
        if not (above / name).is_dir():
            held = sorted(each.name for each in above.glob("[!.]*/"))
            shown = ", ".join(held[:_FOLDERS]) + (", ..." if len(held) > _FOLDERS else "")
            where = "the root" if above == root else above.relative_to(root).as_posix()
            return f" ({where} has no folder {name}; {f'it has {shown}' if held else 'nor any'})"
        above /= name
    return ""
