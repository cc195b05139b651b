from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from runner.registry import datasets

PARAMS: dict[str, Any] = {
    "root": "x",
    "images": "i/*.jpg",
    "masks": "m/{stem}.png",
    "classes": ["a"],
    "splits": {"folders": {"train": "a", "val": "b"}},
}


def parsed(**changed: Any) -> Any:
    return datasets.parse({"name": "segmentation_folder", "params": {**PARAMS, **changed}})


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({}, "exactly one of fractions, lists, folders"),
        (
            {"lists": {"train": "a", "val": "b"}, "folders": {"train": "a", "val": "b"}},
            "exactly one",
        ),
        ({"folders": {"train": "a"}}, "there is no split val"),
        ({"fractions": {"train": 0.5, "val": 0.5}}, "seed belongs to fractions"),
        ({"folders": {"train": "a", "val": "b"}, "seed": 1}, "seed belongs to fractions"),
        ({"fractions": {"train": 0.5, "val": 0.4}, "seed": 1}, "sum to 0.9, not to 1"),
        ({"fractions": {"train": 1.0, "val": 0.0}, "seed": 1}, "less than 1"),
        ({"folders": {"train": "a", "val": "b", "tset": "c"}}, "'train', 'val' or 'test'"),
        ({"folder": {"train": "a", "val": "b"}}, "did you mean 'folders'"),
    ],
)
def test_wrong_splits_are_refused(splits: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        parsed(splits=splits)
    assert said in str(raised.value)
    assert all(each["loc"][:2] == ("params", "splits") for each in raised.value.errors())


@pytest.mark.parametrize(
    "changed",
    [
        {"crop": [0, 5]},
        {"crop": [5]},
        {"resize": [5.0, 5]},
        {"mask_format": "grey"},
        {"validation": "crop"},
        {"std": [0.0, 1.0, 1.0]},
        {"transforms": [{"name": "flp"}]},
        {"transforms": [{"name": "flip", "params": {"horizontal": 2.0}}]},
        {"cache": "yes"},
        {"roots": "x"},
    ],
)
def test_values_out_of_range_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(**changed)


def test_a_part_is_parsed_dumped_and_parsed_again() -> None:
    part = parsed(
        crop=[4, 4],
        transforms=[{"name": "flip"}],
        splits={"fractions": {"train": 0.5, "val": 0.5}, "seed": 1},
    )
    dumped = part.dump()
    assert dumped["params"]["crop"] == [4, 4]
    assert dumped["params"]["transforms"][0]["params"] == {"horizontal": 0.5, "vertical": 0.0}
    assert datasets.parse(dumped).dump() == dumped


def test_the_order_of_writing_does_not_change_the_splits() -> None:
    first = parsed(splits={"fractions": {"val": 0.25, "train": 0.75}, "seed": 1}).params.splits
    assert list(first.rule().shares.items()) == [("train", 0.75), ("val", 0.25)]


@pytest.mark.parametrize("kind", ["datasets", "samplers", "transforms"])
def test_every_parameter_is_described(kind: str) -> None:
    from runner.registry import KINDS

    for name in KINDS[kind]:
        entry = KINDS[kind][name]
        assert entry.summary
        for key, info in entry.params.model_fields.items():
            assert info.description, f"{name}.{key} has no line under Args"


@pytest.mark.parametrize("module", ["datasets", "samplers", "transforms"])
def test_parts_import_nothing_heavy(module: str) -> None:
    heavy = "{'torch', 'numpy', 'cv2', 'albumentations', 'PIL'}"
    code = f"import runner.parts.{module}, sys; print({heavy} & set(sys.modules))"
    path = f"import sys; sys.path[:0] = {sys.path!r}; "
    done = subprocess.run(
        [sys.executable, "-c", path + code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
