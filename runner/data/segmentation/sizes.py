"""Images and masks held against each other by what their headers say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.data.cache import Stamp
from runner.data.companions import lacking
from runner.data.files import Header, collected, problem, read_header
from runner.data.pairs import Named, Pair
from runner.data.segmentation.classes import ClassMap, MaskFormat
from runner.data.segmentation.masks import require_colours, require_ids
from runner.errors import DataError, Problem


def measure(
    root: Path,
    images: Sequence[Named],
    mask_format: MaskFormat | None = None,
    classes: ClassMap | None = None,
    is_labelled: bool = True,
) -> list[Pair]:
    """Return the pairs with their sizes, read from the files' headers.

    Args:
        root: the folder.
        images: by name.
        mask_format: whether masks hold ids or colours; not looked at where None.
        classes: the colours that are mapped; masks of ids among them are not sought where None.
        is_labelled: whether the masks may be trained on; one may be missing where not.
    Raises: DataError: all images without mask, files that cannot be read, sizes that differ,
        masks of colours where ids are expected, or of ids where colours are.
    """
    pairs: list[Pair] = []
    problems: list[Problem] = []
    if is_labelled:
        both = [(each.name, each.mask) for each in images]
        problems += lacking(root, both, "mask", ", or remove the image", "data.params.masks")
    for each in images:
        image, mask = root / each.name, root / each.mask
        has_mask = mask.is_file()
        if is_labelled and not has_mask:
            continue  # It has been told.
        headers: list[Header] = []
        files = (image, mask) if has_mask else (image,)
        for path in files:
            with collected(problems):
                headers.append(read_header(path))
        if len(headers) < len(files):
            continue
        of_image, of_mask = headers[0], headers[-1]
        if has_mask and mask_format == "index":
            with collected(problems):
                require_ids(mask, of_mask)
        elif has_mask and mask_format == "rgb" and classes is not None:
            with collected(problems):
                require_colours(mask, of_mask, classes)
        if (of_image.height, of_image.width) != (of_mask.height, of_mask.width):
            message = (
                f"is {of_image.width}x{of_image.height} pixels, its mask {each.mask} "
                f"{of_mask.width}x{of_mask.height}; the two must agree as they are stored "
                "(an EXIF rotation is not applied)"
            )
            problems.append(problem(image, message))
            continue
        stamps = Stamp.of(image), Stamp.of(mask) if has_mask else None
        size, how = (of_image.height, of_image.width), of_image.orientation
        pairs.append(
            Pair(each.name, each.identity, *stamps, *size, is_labelled=is_labelled, orientation=how)
        )
    if problems:
        raise DataError(problems)
    return pairs
