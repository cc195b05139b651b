"""Every file that a recipe's data set could read, decoded from its first to its last byte."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from runner.data.files import collected, read_with_pillow
from runner.data.pairs import SPLIT, STEM
from runner.data.volumes.files import read_slabs, read_volume_header
from runner.errors import Problem
from runner.language.recipe import Recipe

_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm")
_VOLUMES = (".tif", ".tiff", ".nii", ".nii.gz", ".npy")


def holds_volumes(recipe: Recipe) -> bool:
    """Whether a recipe's data set reads its images as volumes."""
    return hasattr(recipe.data.params, "patch")


def files_of(recipe: Recipe, root: Path) -> list[Path]:
    """Return the image and volume files that the patterns of a data set match, in order.

    Found without opening the data set, which stops at what is wrong with a header: a user wants
    to know of all bad files at once.
    """
    params = recipe.data.params.model_dump()
    folders = (params.get("splits") or {}).get("folders") or {"": "*"}
    patterns = [
        value
        for value in params.values()
        if isinstance(value, str) and ("*" in value or STEM in value)
    ]
    suffixes = _VOLUMES if holds_volumes(recipe) else _IMAGES
    found: dict[Path, None] = {}
    for pattern, folder in product(patterns, folders.values()):
        for path in sorted(root.glob(pattern.replace(SPLIT, folder).replace(STEM, "*"))):
            is_wanted = path.is_file() and path.name.lower().endswith(suffixes)
            if is_wanted and not path.name.startswith("."):
                found[path] = None
    return list(found)


def image_problems(path: Path) -> tuple[Path, tuple[Problem, ...]]:
    """Return an image file with what decoding it strictly finds wrong."""
    problems: list[Problem] = []
    with collected(problems):
        # Not by OpenCV, which decodes a truncated JPEG without a word.
        read_with_pillow(path)
    return path, tuple(problems)


def volume_problems(path: Path) -> tuple[Path, tuple[Problem, ...]]:
    """Return a volume file with what reading all of it finds wrong."""
    problems: list[Problem] = []
    with collected(problems):
        read_volume_header(path)
        for _ in read_slabs(path):
            pass
    return path, tuple(problems)
