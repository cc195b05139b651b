"""Colour on terminals that want it."""

import os
from collections.abc import Callable
from typing import TextIO

CODES = {"red": "31", "green": "32", "bold": "1", "dim": "2"}

Paint = Callable[[str, str], str]
"""Takes a text and a name of ``CODES``."""


def paint(text: str, colour: str) -> str:
    """Return the text in a colour."""
    return f"\x1b[{CODES[colour]}m{text}\x1b[0m"


def plain(text: str, colour: str) -> str:
    """Return the text as it is."""
    del colour
    return text


def paint_for(stream: TextIO) -> Paint:
    """Return ``paint`` for a terminal, ``plain`` for a pipe, a file, or where NO_COLOR is set."""
    wants_none = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return paint if stream.isatty() and not wants_none else plain
