"""Which images a split holds, and that no two splits hold the same."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from runner.data.cache import Stamp
from runner.data.files import collected, problem
from runner.data.pairs import Layout, Named, find_images
from runner.data.perceptual import SAME, correlation, image_thumbnail
from runner.data.texts import read_utf8
from runner.data.written_names import ImageNames
from runner.errors import DataError, Problem


@dataclass(frozen=True)
class Fractions:
    """Images are shuffled by a seed and dealt out.

    Attributes:
        shares: of each split; they sum to one.
        seed: of the shuffle, apart from the run's, so that runs compare.
    """

    shares: Mapping[str, float]
    seed: int


@dataclass(frozen=True)
class Lists:
    """Text files name the images of each split, one a line.

    Attributes:
        files: of each split, relative to the root.
    """

    files: Mapping[str, str]


@dataclass(frozen=True)
class Folders:
    """Each split has a folder.

    Attributes:
        names: of each split: what ``{split}`` stands for.
    """

    names: Mapping[str, str]


LISTS = "data.params.splits.lists"

_COMPARED = 16
"""Pairs of images of one name that are looked at: decoding all would take minutes."""

SplitRule = Fractions | Lists | Folders


class Item(Protocol):
    """An image of a split, whatever belongs to it."""

    @property
    def name(self) -> str:
        """Relative to the root."""
        ...

    @property
    def identity(self) -> str:
        """What an image of the same content would be called in another split."""
        ...

    @property
    def image(self) -> Stamp:
        """The file."""
        ...


def assign(root: Path, layout: Layout, rule: SplitRule) -> dict[str, list[Named]]:
    """Return the images of each split, in order of name.

    Raises: DataError: no image matches, a list names what is not there, a split is empty.
    """
    problems: list[Problem] = []
    splits: dict[str, list[Named]] = {}
    if isinstance(rule, Folders):
        for split, folder in rule.names.items():
            with collected(problems):
                splits[split] = find_images(root, layout, folder)
    else:
        images = find_images(root, layout)
        if isinstance(rule, Fractions):
            splits = dealt(images, rule)
        else:
            for split, file in rule.files.items():
                with collected(problems):
                    splits[split] = listed(root, file, images, LISTS)
    for split, members in splits.items():
        if not members:
            message = f"the split {split!r} is empty; add images, or change data.params.splits"
            problems.append(problem(root, message))
    if problems:
        raise DataError(problems)
    return splits


def dealt(images: Sequence[Named], rule: Fractions) -> dict[str, list[Named]]:
    """Return the images dealt out by share; a function of their number, the shares and the seed."""
    order = np.random.Generator(np.random.Philox(rule.seed)).permutation(len(images))
    ends = np.rint(np.cumsum(list(rule.shares.values())) * len(images)).astype(int)
    parts = np.split(order, ends[:-1])
    return {
        split: [images[index] for index in sorted(part)]
        for split, part in zip(rule.shares, parts, strict=True)
    }


def deal_groups(
    images: Sequence[Named], group_of: Mapping[str, str], rule: Fractions
) -> dict[str, list[Named]]:
    """Return images dealt out by group, as near to the shares as whole groups allow.

    Args:
        images: in order of name.
        group_of: the group of each image's name.
        rule: shares of the images, and the seed that orders groups of equal size.
    """
    members: dict[str, list[Named]] = {}
    for image in images:
        members.setdefault(group_of[image.name], []).append(image)
    names = sorted(members)
    order = np.random.Generator(np.random.Philox(rule.seed)).permutation(len(names))
    # Large groups first: small ones then even out what is left.
    largest_first = sorted((names[place] for place in order), key=lambda name: -len(members[name]))
    parts: dict[str, list[Named]] = {split: [] for split in rule.shares}
    for number, name in enumerate(largest_first):
        empty = [split for split, part in parts.items() if not part]
        # The last groups are kept for splits that would otherwise have none.
        open_to = empty if len(empty) >= len(largest_first) - number else list(parts)
        lacking = {split: rule.shares[split] * len(images) - len(parts[split]) for split in open_to}
        # Shares such as 0.1 are not exact: what differs by rounding alone is a tie.
        chosen = max(open_to, key=lambda split: round(lacking[split], 6))
        parts[chosen] += members[name]
    return {split: sorted(part, key=lambda each: each.name) for split, part in parts.items()}


def listed(root: Path, path: str, images: Sequence[Named], key: str) -> list[Named]:
    """Return the images that a list names by path, file name or stem, in order of name.

    Args:
        root: the folder.
        path: of the list in it: text, an image a line.
        images: that may be named.
        key: of the recipe, that names the file.
    Raises: DataError: the file cannot be read; a line names no image, several, or one again.
    """
    file = root / path
    try:
        lines = read_utf8(file).splitlines()
    except OSError as error:
        message = f"the list cannot be read ({error}); correct {key}"
        raise DataError(problem(file, message)) from None
    by_name = {image.name: image for image in images}
    names = ImageNames(root, by_name)
    problems: list[Problem] = []
    members: dict[str, Named] = {}
    for number, line in enumerate(lines, start=1):
        entry = line.strip()
        if not entry:
            continue
        matches = names.meant_by(entry).images
        if len(matches) != 1:
            wrong = f"names {len(matches)} images; write the path from the root"
            if not matches:
                wrong = (
                    "is not among the images that data.params.images matches; "
                    "correct one of the two"
                )
            problems.append(Problem(f"{file}:{number}", "", f"{entry!r} {wrong}"))
            continue
        image = by_name[matches[0]]
        if image.name in members:
            message = f"{entry!r} stands on an earlier line, too; remove one of them"
            problems.append(Problem(f"{file}:{number}", "", message))
        members[image.name] = image
    if problems:
        raise DataError(problems)
    return sorted(members.values(), key=lambda image: image.name)


def find_leaks(
    splits: Mapping[str, Sequence[Item]], allowed_by: str = "true", *, are_images: bool = True
) -> list[Problem]:
    """Return a problem for each image that two splits hold, by name or by content.

    Where splits count their images anew, equal names say nothing: they are believed if of a few
    pairs one looks alike, as what was saved anew in another format does.

    Args:
        splits: the images.
        allowed_by: value of ``data.params.allow_leak`` that lets it be.
        are_images: whether they can be looked at; names are believed where not.
    """
    cure = f"keep it in one split, or set data.params.allow_leak: {allowed_by}"
    problems = []
    namesakes = _twins(splits, lambda pair: pair.identity)
    if are_images and not _are_alike([(pair, twin) for (_, pair), (_, twin) in namesakes]):
        namesakes = []
    for (split, pair), (other, twin) in namesakes:
        same = "the same image" if pair.image.path == twin.image.path else "of the same name as"
        message = f"of the split {split!r} is {same} {twin.name} in {other!r}; {cure}"
        problems.append(problem(Path(pair.image.path), message))
    by_name = {each.place for each in problems}
    # Equal sizes are common where files are not compressed: look at the content only then.
    for (split, pair), (other, twin) in _twins(splits, lambda pair: pair.image.size_bytes, _digest):
        if pair.image.path not in by_name:
            message = f"of the split {split!r} has the content of {twin.name} in {other!r}; {cure}"
            problems.append(problem(Path(pair.image.path), message))
    return problems


def _twins(
    splits: Mapping[str, Sequence[Item]], *keys: Callable[[Item], Hashable]
) -> list[tuple[tuple[str, Item], tuple[str, Item]]]:
    """Return pairs of another split than the first that has equal keys; a later key asks few."""
    groups = [[(split, pair) for split, pairs in splits.items() for pair in pairs]]
    for key in keys:
        finer = []
        for group in groups:
            parts: dict[Hashable, list[tuple[str, Item]]] = defaultdict(list)
            for split, pair in group:
                parts[key(pair)].append((split, pair))
            finer += [part for part in parts.values() if len({split for split, _ in part}) > 1]
        groups = finer
    return [(other, group[0]) for group in groups for other in group[1:] if other[0] != group[0][0]]


def _are_alike(namesakes: Sequence[tuple[Item, Item]]) -> bool:
    """Whether any of a few pairs, spread over all, are one file or look alike."""
    if any(pair.image.path == twin.image.path for pair, twin in namesakes):
        return True
    few = namesakes[:: -(-len(namesakes) // _COMPARED) or 1]
    return any(_look_alike(Path(pair.image.path), Path(twin.image.path)) for pair, twin in few)


def _look_alike(first: Path, second: Path) -> bool:
    """Whether two images look alike; what shows nothing or cannot be read is like no other."""
    try:
        one, other = image_thumbnail(first), image_thumbnail(second)
    except DataError:
        return False  # Whoever reads it tells that.
    return one is not None and other is not None and correlation(one, other) >= SAME


def _digest(pair: Item) -> bytes:
    with open(pair.image.path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
