from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from runner.data.volumes.labels import LabelRule, class_slabs
from runner.errors import DataError

NAMES = ("background", "surface")
LABEL = np.array([0, 1, 2, 2, 1, 0, 0, 2], np.uint8).reshape(2, 2, 2)


def classes(tmp_path: Path, label: np.ndarray, rule: LabelRule) -> list[int]:
    np.save(tmp_path / "l.npy", label)
    return np.concatenate(list(class_slabs(tmp_path / "l.npy", rule))).ravel().tolist()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (LabelRule(NAMES, (1,), 2, "ignore"), [0, 1, 255, 255, 1, 0, 0, 255]),
        (LabelRule(NAMES, (1,), 2, "merge_ignore"), [0, 1, 1, 1, 1, 0, 0, 1]),
        (LabelRule(NAMES, (1, 2), None, "ignore"), [0, 1, 1, 1, 1, 0, 0, 1]),
        (LabelRule(NAMES, (2,), 1, "ignore"), [0, 255, 1, 1, 255, 0, 0, 1]),
    ],
)
def test_the_policy_decides_what_unlabelled_voxels_are(
    tmp_path: Path, dtype: str, rule: LabelRule, expected: list[int]
) -> None:
    assert rule.problems() == []
    assert classes(tmp_path, LABEL.astype(dtype), rule) == expected


@pytest.mark.parametrize(("stored", "shown"), [(2, "2"), (254, "254"), (255, "255"), (0.5, "0.5")])
def test_an_unexpected_value_is_named_with_its_voxels(
    tmp_path: Path, stored: float, shown: str
) -> None:
    label = np.where(LABEL == 2, stored, LABEL).astype(np.float32)
    with pytest.raises(DataError, match=f"l.npy: label {shown} on 3 voxels is none of 0, 1;"):
        classes(tmp_path, label, LabelRule(NAMES, (1,), None, "ignore"))


def test_255_may_be_the_ignored_value(tmp_path: Path) -> None:
    label = np.where(LABEL == 2, 255, LABEL).astype(np.uint8)
    rule = LabelRule(NAMES, (1,), 255, "ignore")
    assert classes(tmp_path, label, rule) == [0, 1, 255, 255, 1, 0, 0, 255]


def test_an_image_taken_for_a_label_gives_a_short_report(tmp_path: Path) -> None:
    label = np.arange(1000, dtype=np.uint16).reshape(10, 10, 10)
    with pytest.raises(DataError) as raised:
        classes(tmp_path, label, LabelRule(NAMES, (1,), None, "ignore"))
    assert len(raised.value.problems) == 21
    assert "978 more such labels on 978 voxels" in str(raised.value.problems[-1])


def test_a_float_image_taken_for_a_label_is_not_read_to_its_end(tmp_path: Path) -> None:
    label = np.random.default_rng(0).random((50, 10, 60)).astype(np.float32)
    np.save(tmp_path / "l.npy", label)
    rule, slabs = LabelRule(NAMES, (1,), None, "ignore"), []
    with pytest.raises(DataError, match="more such labels"):
        slabs.extend(class_slabs(tmp_path / "l.npy", rule))
    rest = class_slabs(tmp_path / "l.npy", rule)
    assert sum(1 for _ in zip(range(50), _until_error(rest), strict=False)) == 2


def _until_error(slabs: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    try:
        yield from slabs
    except DataError:
        return


def test_rules_that_contradict_themselves_are_told_together() -> None:
    rule = LabelRule(("a", "a"), (0, 1), 1, "ignore")
    assert [each.key.split(".")[-1] for each in rule.problems()] == [
        "foreground", "ignore_label", "classes",
    ]  # fmt: skip
    [merge] = LabelRule(NAMES, (1,), None, "merge_ignore").problems()
    assert "nothing to merge" in merge.message
