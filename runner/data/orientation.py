"""Images that a viewer shows turned or mirrored, and that are read as they are stored.

A file may say by EXIF how it is to be shown. Masks have no such word, and boxes and points are most
often exported without: nothing is turned, and what was drawn on the turned image does not fit.
"""

from __future__ import annotations

from collections.abc import Mapping

from runner.data.remarks import NAMED
from runner.statistics import Remark

UPRIGHT = 1
"""The EXIF orientation of an image that is shown as it is stored."""


def turned(orientations: Mapping[str, int]) -> list[Remark]:
    """Return a remark where images are shown otherwise than they are read.

    Args:
        orientations: of each image, as EXIF numbers them.
    """
    others = {name: each for name, each in orientations.items() if each != UPRIGHT}
    if not others:
        return []
    carry = "carries" if len(others) == 1 else "carry"
    message = (
        f"{len(others):,} of {len(orientations):,} images {carry} an EXIF orientation other than "
        "1, which is not applied: they are read as stored, and what was drawn on them as a viewer "
        "shows them lies elsewhere; save them upright (Pillow's ImageOps.exif_transpose, or "
        "mogrify -auto-orient), or, where masks, boxes or points fit the stored pixels, strip the "
        "tag"
    )
    return [
        Remark(
            kind="exif_orientation",
            level="warning",
            message=message,
            places=[f"{name}: orientation {each}" for name, each in others.items()][:NAMED],
            count=len(others),
        )
    ]
