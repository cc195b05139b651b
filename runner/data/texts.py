"""Text files beside the data: annotations, lists and tables.

Neither numpy nor OpenCV is imported here: ``runner validate`` reads some of them.
"""

from __future__ import annotations

from pathlib import Path

from runner.errors import DataError, Problem


def read_utf8(path: Path) -> str:
    """Return a text file, without the byte order mark that spreadsheets write.

    Raises:
        OSError: it cannot be read.
        DataError: it is in another encoding, or no text at all.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Of a file with a mark, the error counts from behind it.
        at = error.start + len(content) - len(error.object)
        raise DataError(_no_text(path, content, at)) from None
    # Of UTF-16 without its mark every second byte is 0, which is valid UTF-8.
    if "\0" in text:
        raise DataError(_no_text(path, content, content.index(0)))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _no_text(path: Path, content: bytes, at: int) -> Problem:
    message = (
        f"is no UTF-8 text (byte {at + 1:,} is 0x{content[at]:02x}): it is in another encoding, "
        "such as UTF-16, or binary; save it as UTF-8, or replace it"
    )
    return Problem(str(path), "", message)
