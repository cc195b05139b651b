"""Images whose mask, label or annotation is not there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.data.files import problem
from runner.data.links import broken
from runner.errors import Problem


def lacking(
    root: Path, files: Sequence[tuple[str, str]], what: str, cure: str, key: str
) -> list[Problem]:
    """Return a problem for each image whose other file is not there; one alone where none is.

    Args:
        root: the folder.
        files: each image, and the file that belongs to it, from there.
        what: that file is to the image.
        cure: what to do about one image, after ``add it``.
        key: of the recipe, that says where such files lie.
    """
    missing = [(image, other) for image, other in files if not (root / other).is_file()]
    dead = {image: wrong for image, other in missing if (wrong := broken(root / other))}
    if dead:
        missing = [each for each in missing if each[0] not in dead]
    if len(missing) == len(files) > 1:
        image, other = missing[0]
        message = (
            f"has no {what}, nor has any of the other {len(files) - 1:,}: {other} "
            f"does not exist; correct {key}"
        )
        return [problem(root / image, message)]
    return [*dead.values()] + [
        problem(root / image, f"has no {what}: {other} does not exist; add it{cure}")
        for image, other in missing
    ]
