from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from runner.contracts import Sample
from runner.registry import transforms

SAMPLE = Sample(
    "x",
    np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8),
    {"mask": np.random.default_rng(1).integers(0, 4, (16, 16), dtype=np.uint8)},
    np.zeros(3, np.float32),
    np.ones(3, np.float32),
)

VOLUME = Sample(
    "x",
    np.random.default_rng(0).integers(0, 256, (1, 8, 8, 8), dtype=np.uint8),
    {"mask": np.random.default_rng(1).integers(0, 2, (8, 8, 8), dtype=np.uint8)},
    np.array([128], np.float32),
    np.array([70], np.float32),
)
OF_VOLUMES = {"flip_volume", "rotate90_volume", "intensity", "noise_volume"}


@pytest.mark.parametrize("name", list(transforms))
def test_defaults_build_a_transform_of_a_sample(name: str) -> None:
    sample = VOLUME if name in OF_VOLUMES else SAMPLE
    transform = transforms.parse({"name": name}).build()
    results = [transform(sample, np.random.default_rng(seed)) for seed in range(30)]
    for result in results:
        assert result.image.shape == sample.image.shape
        assert result.image.dtype == result.target["mask"].dtype == np.uint8
        assert result.id == "x"
    assert any(not np.array_equal(result.image, sample.image) for result in results)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("flip", {"horizontal": 0.0, "vertical": 0.0}),
        ("rotate90", {"probability": 0.0}),
        ("affine", {"probability": 0.0}),
        ("color_jitter", {"probability": 0.0}),
        ("blur", {"probability": 0.0}),
        ("noise", {"probability": 0.0}),
    ],
)
def test_a_probability_of_zero_changes_nothing(name: str, params: dict[str, Any]) -> None:
    transform = transforms.parse({"name": name, "params": params}).build()
    for seed in range(10):
        result = transform(SAMPLE, np.random.default_rng(seed))
        np.testing.assert_array_equal(result.image, SAMPLE.image)


def test_flips_are_those_of_numpy() -> None:
    block = {"name": "flip", "params": {"horizontal": 1.0, "vertical": 0.0}}
    result = transforms.parse(block).build()(SAMPLE, np.random.default_rng(0))
    np.testing.assert_array_equal(result.image, SAMPLE.image[:, :, ::-1])
    np.testing.assert_array_equal(result.target["mask"], SAMPLE.target["mask"][:, ::-1])


def test_noise_has_the_written_deviation() -> None:
    grey = Sample("x", np.full((3, 64, 64), 128, np.uint8), {"mask": np.zeros((64, 64), np.uint8)},
                  SAMPLE.mean, SAMPLE.std)  # fmt: skip
    block = {"name": "noise", "params": {"std": [0.1, 0.1], "probability": 1.0}}
    result = transforms.parse(block).build()(grey, np.random.default_rng(0))
    assert abs(result.image.astype(float).std() / 255 - 0.1) < 0.01


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("flip", {"horizontal": 1.5}, "less than or equal to 1"),
        ("affine", {"scale": [1.2, 0.8]}, "write the smaller end first"),
        ("affine", {"scale": [0.0, 1.0]}, "greater than 0"),
        ("affine", {"rotate_degrees": 190.0}, "less than or equal to 180"),
        ("blur", {"sigma_px": [2.0, 1.0]}, "write the smaller end first"),
        ("noise", {"std": [0.1]}, "required"),
        ("color_jitter", {"hue": 0.6}, "less than or equal to 0.5"),
        ("rotate90", {"p": 1.0}, "nothing reads this key"),
    ],
)
def test_values_out_of_range_are_refused(name: str, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        transforms.parse({"name": name, "params": params})
    assert said in str(raised.value)
