"""Masks of 0 and 255 under names of classes alone are found before a training on one class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from runner.contracts import Data
from runner.data.segmentation import masks, store
from runner.errors import DataError

Opener = Callable[..., Data]
NAMES: dict[str, Any] = {"mapping": None, "classes": ["ground", "object"]}


def write(folder: Path, *values: list[int]) -> None:
    """Write masks of 40x48 pixels, in turn with the values of each list."""
    random = np.random.default_rng(0)
    for number in range(10):
        mask = random.choice(values[number % len(values)], (40, 48)).astype(np.uint8)
        cv2.imwrite(str(folder / "masks" / f"{number}.png"), mask)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The masks that have been decoded."""
    names: list[str] = []

    def read(path: Path, classes: Any) -> Any:
        names.append(path.name)
        return masks.read_mask(path, classes)

    monkeypatch.setattr(store, "read_mask", read)
    return names


@pytest.mark.parametrize("cache", [True, False])
def test_masks_of_0_and_255_are_refused_with_the_ids_to_write(
    opened: Opener, folder: Path, cache: bool
) -> None:
    write(folder, [0, 255])
    with pytest.raises(DataError) as raised:
        opened(**NAMES, cache=cache)
    [problem] = raised.value.problems
    assert problem.place.startswith(f"{folder}/masks/")
    assert problem.message == (
        "all 7 masks of the training split hold 0 (ground) and 255 alone, and 255 is ignored "
        "where classes are named without ids: object has no pixel; write data.params.classes: "
        "{ground: [0], object: [255]} where 255 is object, or "
        "{ground: [0], object: [1], ignore: [255]} where it is to be ignored"
    )


@pytest.mark.parametrize(
    "classes",
    [{"ground": [0], "object": [255]}, {"ground": [0], "object": [1], "ignore": [255]}, ["ground"]],
)
def test_what_the_message_names_is_read(opened: Opener, folder: Path, classes: Any) -> None:
    write(folder, [0, 255])
    counts = opened(mapping=None, classes=classes).spec.measured["class_pixels"]
    assert counts[0] > 0 and (len(counts) == 1 or (counts[1] > 0) == ("ignore" not in classes))


def test_class_of_a_name_that_is_no_word_is_quoted(opened: Opener, folder: Path) -> None:
    write(folder, [1, 255])
    with pytest.raises(DataError, match=r'\{"the ground": \[255\], object: \[1\]\}'):
        opened(mapping=None, classes=["the ground", "object"])


@pytest.mark.parametrize("values", [[0], [255], [0, 1, 255]])
def test_masks_without_that_sign_are_let_be(
    opened: Opener, folder: Path, values: list[int]
) -> None:
    write(folder, values)
    data = opened(**NAMES)
    counts = [bool(count) for count in data.spec.measured["class_pixels"]]
    assert counts == [index in values for index in range(len(data.spec.classes))]


def test_one_mask_with_two_classes_is_enough(
    opened: Opener, folder: Path, decoded: list[str]
) -> None:
    write(folder, [0, 1, 255])
    opened(**NAMES)
    assert len(decoded) == 1


def test_class_in_the_last_of_the_masks_is_found(
    opened: Opener, folder: Path, decoded: list[str]
) -> None:
    write(folder, [0, 255])
    *_, last = opened(mapping=None, classes={"a": [0, 255]}).splits["train"].ids
    mask = np.ones((40, 48), np.uint8)
    cv2.imwrite(str(folder / last.replace("images", "masks")), mask)
    opened(**NAMES)
    assert len(decoded) == 7


def test_few_masks_are_looked_at_where_none_has_255(
    opened: Opener, folder: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.data.segmentation.unseen.LOOKED_AT", 3)
    write(folder, [0])
    opened(**NAMES)
    assert len(decoded) == 3


def test_mapping_file_says_what_255_is_and_no_mask_is_looked_at(
    opened: Opener, folder: Path, decoded: list[str]
) -> None:
    (folder / "map.csv").write_text(
        "source_id,source_name,target_id,target_name\n0,g,0,ground\n1,o,1,object\n255,x,255,\n"
    )
    write(folder, [0, 255])
    opened()
    assert decoded == []


def test_damaged_mask_is_left_to_who_reads_it(opened: Opener, folder: Path) -> None:
    write(folder, [0, 1])
    for file in (folder / "masks").iterdir():
        file.write_bytes(file.read_bytes()[:150])
    data = opened(**NAMES)
    with pytest.raises(DataError):
        data.spec.measured["class_pixels"]
