"""Boxes that are hardly boxes are told where their middles are pointed at."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from runner.contracts import Data, DataContext
from runner.errors import DataError
from runner.registry import datasets

BCCD = Path(__file__).parents[2] / ".." / "shared" / "data" / "bccd"
BOXES = {"a": [(10, 10, 20, 20), (30, 12, 30, 12)], "b": [(4, 4, 14, 9)]}
"""Corners as pixels are counted from 1, the last of which belongs to the box."""


def write_folder(root: Path, format: str) -> dict[str, str]:
    """Write two images of 60x40 pixels with three boxes, of which one is a single pixel."""
    for name, boxes in BOXES.items():
        cv2.imwrite(str(root / f"{name}.png"), np.full((40, 60, 3), ord(name), np.uint8))
        if format == "voc":
            objects = "".join(
                f"<object><name>cell</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
                f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
                for x1, y1, x2, y2 in boxes
            )
            (root / f"{name}.xml").write_text(f"<annotation>{objects}</annotation>")
        if format == "yolo":
            lines = [
                f"0 {(x1 + x2 - 1) / 120:.6f} {(y1 + y2 - 1) / 80:.6f} "
                f"{(x2 - x1 + 1) / 60:.6f} {(y2 - y1 + 1) / 40:.6f}"
                for x1, y1, x2, y2 in boxes
            ]
            (root / f"{name}.txt").write_text("\n".join(lines))
    if format == "coco":
        annotations = [
            {"id": 10 * number + place, "image_id": number, "category_id": 1,
             "bbox": [x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1]}
            for number, boxes in enumerate(BOXES.values())
            for place, (x1, y1, x2, y2) in enumerate(boxes)
        ]  # fmt: skip
        images = [{"id": number, "file_name": f"{name}.png"} for number, name in enumerate(BOXES)]
        content = {"images": images, "annotations": annotations}
        content["categories"] = [{"id": 1, "name": "cell"}]
        (root / "all.json").write_text(json.dumps(content))
    return {"voc": "{stem}.xml", "yolo": "{stem}.txt", "coco": "all.json"}


def opened(root: Path, kept: Path, **params: object) -> Data:
    block = {"name": "points", "params": {"root": str(root), "canvas": [32, 32], **params}}
    data: Data = datasets.parse(block).build(DataContext(Path, kept))
    return data


@pytest.mark.parametrize(
    ("format", "place"),
    [("voc", "a.xml: object 2"), ("yolo", "a.txt:2"), ("coco", "all.json: annotation 1")],
)
def test_a_box_of_one_pixel_is_told_and_its_middle_counts(tmp_path, caplog, format, place):
    root = tmp_path / "root"
    root.mkdir()
    annotations = write_folder(root, format)[format]
    splits = {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0}
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(
            root, tmp_path, format=format, images="*.png", annotations=annotations, splits=splits
        )
    assert "faulty boxes: 1 degenerate" in caplog.text
    assert f"{place}: the box" in caplog.text and "its middle counts as an object" in caplog.text
    [remark] = data.inventory.remarks
    assert remark.kind == "degenerate_boxes" and remark.count == 1
    counted = [item.survey().counts for each in data.inventory.items.values() for item in each]
    assert sorted(counted) == [(1.0,), (2.0,)]


def test_a_box_that_does_not_count_is_not_told(tmp_path, caplog):
    root = tmp_path / "root"
    root.mkdir()
    write_folder(root, "voc")
    spoilt = (root / "a.xml").read_text().rpartition("cell")
    (root / "a.xml").write_text(f"{spoilt[0]}dust{spoilt[2]}")
    splits = {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0}
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(
            root, tmp_path, format="voc", images="*.png", annotations="{stem}.xml", splits=splits,
            categories=["cell"],
        )  # fmt: skip
    assert data.inventory.remarks == () and "faulty" not in caplog.text


@pytest.mark.parametrize(("categories", "count"), [(None, 2), (["cell"], 1)])
def test_crowds_are_told_and_have_no_point(tmp_path, caplog, categories, count):
    root = tmp_path / "root"
    root.mkdir()
    write_folder(root, "coco")
    content = json.loads((root / "all.json").read_text())
    content["annotations"][1]["iscrowd"] = 1
    content["categories"].append({"id": 2, "name": "dust"})
    dust = {"id": 7, "image_id": 1, "category_id": 2, "bbox": [1, 1, 9, 9], "iscrowd": 1}
    content["annotations"].append(dust)
    (root / "all.json").write_text(json.dumps(content))
    splits = {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0}
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(
            root, tmp_path, format="coco", images="*.png", annotations="all.json", splits=splits,
            categories=categories,
        )  # fmt: skip
    [remark] = data.inventory.remarks
    assert (remark.kind, remark.level, remark.count) == ("crowd_boxes", "note", count)
    assert "all.json: annotation 1" in remark.places[0] and "for a crowd" in caplog.text
    counted = [item.survey().counts for each in data.inventory.items.values() for item in each]
    assert counted == [(1.0,), (1.0,)]


@pytest.mark.parametrize("format", ["voc", "coco"])
def test_boxes_of_images_of_another_size_are_refused(tmp_path, format):
    root = tmp_path / "root"
    root.mkdir()
    annotations = write_folder(root, format)[format]
    if format == "voc":
        text = (root / "a.xml").read_text().replace(
            "<annotation>", "<annotation><size><width>120</width><height>80</height></size>"
        )  # fmt: skip
        (root / "a.xml").write_text(text)
    else:
        content = json.loads((root / "all.json").read_text())
        content["images"][0].update(width=120, height=80)
        content["images"][1].update(width=60, height=40)
        (root / "all.json").write_text(json.dumps(content))
    splits = {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0}
    with pytest.raises(DataError, match=r"120x80.*60x40") as raised:
        opened(
            root, tmp_path, format=format, images="*.png", annotations=annotations, splits=splits
        )
    assert len(raised.value.problems) == 1


@pytest.mark.skipif(not BCCD.is_dir(), reason="BCCD is not at ../shared/data/bccd")
def test_points_of_bccd_tell_its_two_degenerate_boxes(tmp_path, caplog):
    lists = {split: f"ImageSets/Main/{split}.txt" for split in ("train", "val", "test")}
    with caplog.at_level(logging.INFO, "runner.data"):
        data = opened(
            BCCD, tmp_path, format="voc", images="JPEGImages/*.jpg",
            annotations="Annotations/{stem}.xml", splits={"lists": lists}, cache=False,
        )  # fmt: skip
    assert "faulty boxes: 2 degenerate" in caplog.text
    [remark] = data.inventory.remarks
    assert remark.count == 2 and "BloodImage_00338.xml: object 13" in "".join(remark.places)
