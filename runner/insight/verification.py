"""Every file that a recipe's data set could read, decoded from its first to its last byte."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from runner.data.files import collected, read_image, read_with_pillow
from runner.data.pairs import SPLIT, STEM
from runner.data.volumes.files import read_slabs, read_volume_header
from runner.errors import Problem
from runner.language.recipe import Recipe

Role = Literal["image", "mask", "volume"]
"""What a file is to its data set: an image is decoded by other means than a mask or dots."""

_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm")
_VOLUMES = (".tif", ".tiff", ".nii", ".nii.gz", ".npy")


def holds_volumes(recipe: Recipe) -> bool:
    """Whether a recipe's data set reads its images as volumes."""
    return hasattr(recipe.data.params, "patch")


def files_of(recipe: Recipe, root: Path) -> dict[Path, Role]:
    """Return the image and volume files that the patterns of a data set match, in order.

    Found without opening the data set, which stops at what is wrong with a header: a user wants
    to know of all bad files at once.
    """
    params = recipe.data.params.model_dump()
    folders = (params.get("splits") or {}).get("folders") or {"": "*"}
    patterns = {
        key: value
        for key, value in params.items()
        if isinstance(value, str) and ("*" in value or STEM in value)
    }
    is_volumes = holds_volumes(recipe)
    suffixes = _VOLUMES if is_volumes else _IMAGES
    found: dict[Path, Role] = {}
    for key, pattern in patterns.items():
        role: Role = "volume" if is_volumes else "image" if key == "images" else "mask"
        for folder in folders.values():
            for path in sorted(root.glob(pattern.replace(SPLIT, folder).replace(STEM, "*"))):
                is_wanted = path.is_file() and path.name.lower().endswith(suffixes)
                if is_wanted and not path.name.startswith("."):
                    # What is both an image and, by a wider pattern, a mask is trained on as both.
                    found[path] = "image" if found.get(path) == "image" else role
    return found


def problems_of(file: tuple[Path, Role]) -> tuple[Path, tuple[Problem, ...]]:
    """Return a file with what reading all of it, as a training would and strictly, finds wrong."""
    path, role = file
    problems: list[Problem] = []
    with collected(problems):
        if role == "volume":
            read_volume_header(path)
            for _ in read_slabs(path):
                pass
        else:
            # OpenCV decodes a JPEG that is damaged in its middle without a word.
            read_with_pillow(path)
        if role == "image":
            read_image(path)
    return path, tuple(problems)
