from __future__ import annotations

from pathlib import Path

import pytest

from runner.data.segmentation.classes import ClassMap, named, read_mapping
from runner.errors import DataError

HEADER = "source_id,source_name,target_id,target_name\n"


def written(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "map.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_targets_are_ordered_by_their_ids_and_ignore_is_no_class(tmp_path: Path) -> None:
    text = HEADER + "7,car,1,danger\n2,road,0,safe\n9,void,255,ignore\n300,tree,1,danger\n\n"
    assert read_mapping(written(tmp_path, text, "utf-8-sig"), "index") == ClassMap(
        "index", ("safe", "danger"), (2, 7, 9, 300), (0, 1, 255, 1)
    )


def test_colours_are_packed(tmp_path: Path) -> None:
    path = written(tmp_path, "r,g,b,name,target_id,target_name\n230,25,75,building,0,house\n")
    classes = read_mapping(path, "rgb")
    assert classes.sources == (230 << 16 | 25 << 8 | 75,)
    assert classes.describe(classes.sources[0]) == "colour 230,25,75"


def test_names_alone_map_indices_to_themselves() -> None:
    assert named(["a", "b"]) == ClassMap("index", ("a", "b"), (0, 1, 255), (0, 1, 255))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source_id,target_id\n0,0\n", "column target_name is missing"),
        ("", "column source_id, target_id, target_name is missing"),
        (HEADER, "maps nothing to a class"),
        (HEADER + "0,a,255,\n", "maps nothing to a class"),
        (HEADER + "0,a,1,b\n", "no line has target_id 0"),
        (HEADER + "0,a,0,b\n0,a,0,b\n", "map.csv:3: source_id: the same source"),
        (HEADER + "0,a,0,b\n1,a,0,c\n", "map.csv:3: target_name: class 0 is called 'c'"),
        (HEADER + "0,a,0,b\n1,a,1,b\n", "two classes are called 'b'"),
        (HEADER + "0,a,0,\n", "class 0 is called ''"),
        (HEADER + "x,a,0,b\n", "map.csv:2: source_id: 'x' is no whole number from 0 to 65535"),
        (HEADER + "-1,a,0,b\n", "'-1' is no whole number"),
        (HEADER + "0,a,256,b\n", "target_id: '256' is no whole number from 0 to 255"),
        (HEADER + "0,a\n", "target_id: '' is no whole number"),
    ],
)
def test_a_wrong_mapping_names_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as raised:
        read_mapping(written(tmp_path, text), "index")
    assert said in str(raised.value)


def test_all_wrong_lines_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        read_mapping(written(tmp_path, HEADER + "x,a,y,b\n0,a,0,a\n0,a,0,b\n"), "index")
    assert [each.key for each in raised.value.problems] == [
        *("source_id", "target_id"),
        *("source_id", "target_name"),
    ]


def test_a_colour_above_255_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "r,g,b,name,target_id,target_name\n256,0,0,a,0,a\n")
    with pytest.raises(DataError, match="r: '256' is no whole number from 0 to 255"):
        read_mapping(path, "rgb")


def test_a_missing_mapping_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="map.csv: the mapping file does not exist"):
        read_mapping(tmp_path / "map.csv", "index")
