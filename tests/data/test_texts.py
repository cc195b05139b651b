"""Text files in another encoding than UTF-8 are said to be, whatever they are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.data.boxes.formats import read_yolo
from runner.data.files import Header
from runner.data.pairs import Named
from runner.data.points.beside import read_yolo as read_middles
from runner.data.segmentation.classes import read_mapping
from runner.data.splits import listed
from runner.data.texts import read_utf8
from runner.errors import DataError

LINE = "0 0.5 0.5 0.1 0.1\n"
CONTENTS = {
    "UTF-16": (LINE.encode("utf-16"), "byte 1 is 0xff"),
    "UTF-16 without a mark": (LINE.encode("utf-16-le"), "byte 2 is 0x00"),
    "Latin 1": ("höhe".encode("latin-1"), "byte 2 is 0xf6"),
    "Latin 1 behind a mark": (b"\xef\xbb\xbfh\xf6he", "byte 5 is 0xf6"),
    "binary": (b"\x89PNG\r\n\x1a\n\0\0", "byte 1 is 0x89"),
}
READERS = {
    "boxes": lambda path: read_yolo(path, Header(40, 60, "RGB"), ("c",)),
    "points": lambda path: read_middles(path, (40, 60)),
    "mapping": lambda path: read_mapping(path, "index"),
    "list": lambda path: listed(path.parent, path.name, [Named("a", "a", "a")], "data.params"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", CONTENTS)
def test_what_is_no_utf8_is_told_with_its_first_such_byte(tmp_path: Path, kind: str, reader: str):
    path = tmp_path / "a.txt"
    content, said = CONTENTS[kind]
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        READERS[reader](path)
    [found] = map(str, raised.value.problems)
    assert found.startswith(f"{path}: is no UTF-8 text ({said})") and "save it as UTF-8" in found
    assert "permission" not in found


def test_marks_and_ends_of_lines_of_other_systems_are_read_over(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_utf8(path) == "a\nb\nc\n"


def test_a_file_that_is_not_there_is_no_matter_of_encoding(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_utf8(tmp_path / "a.txt")
