from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from runner.contracts import Sample
from runner.errors import RecipeError
from runner.registry import transforms

DTYPES = ["uint8", "uint16", "int16", "float16", "float32"]


def seeded(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def sample(dtype: str = "uint8", shape: tuple[int, ...] = (4, 4, 4)) -> Sample:
    image = np.random.default_rng(0).integers(40, 200, (1, *shape)).astype(dtype)
    # Each voxel's mask says which image value it belongs to.
    mask = image[0].astype(np.uint8)
    return Sample("x", image, {"mask": mask}, np.float32([100]), np.float32([30]))


def built(name: str, **params: Any) -> Callable[..., Sample]:
    return transforms.parse({"name": name, "params": params}).build()


MOVES = [
    ("flip_volume", {}), ("rotate90_volume", {}), ("rotate90_volume", {"axes": "all"}),
]  # fmt: skip
CHANGES = [("intensity", {"probability": 1.0}), ("noise_volume", {"probability": 1.0})]


@pytest.mark.parametrize(("name", "params"), MOVES)
def test_mask_and_image_move_alike(name: str, params: dict[str, Any]) -> None:
    move = built(name, **params)
    seen = set()
    for seed in range(40):
        moved = move(sample(), seeded(seed))
        np.testing.assert_array_equal(moved.image[0], moved.target["mask"])
        assert sorted(moved.image.ravel()) == sorted(sample().image.ravel())
        seen.add(moved.image.tobytes())
    assert len(seen) == {"flip_volume": 8, "rotate90_volume": 10 if params else 4}[name]


def test_each_axis_is_mirrored_with_its_own_probability() -> None:
    for axis, name in ((1, "depth"), (2, "height"), (3, "width")):
        odds = {each: float(each == name) for each in ("depth", "height", "width")}
        moved = built("flip_volume", **odds)(sample(), seeded(0))
        np.testing.assert_array_equal(moved.image, np.flip(sample().image, axis))
    still = built("flip_volume", depth=0.0, height=0.0, width=0.0)(sample(), seeded(0))
    np.testing.assert_array_equal(still.image, sample().image)


def test_turns_in_the_plane_keep_the_slices() -> None:
    turn = built("rotate90_volume", probability=1.0)
    for seed in range(20):
        moved = turn(sample(shape=(2, 5, 5)), seeded(seed))
        for before, after in zip(sample(shape=(2, 5, 5)).image[0], moved.image[0], strict=True):
            assert sorted(before.ravel()) == sorted(after.ravel())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "params"), CHANGES)
def test_intensities_change_in_the_type_of_the_file(
    name: str, params: dict[str, Any], dtype: str
) -> None:
    before = sample(dtype, (8, 8, 8))
    after = built(name, **params)(before, seeded(1))
    assert after.image.dtype == before.image.dtype
    assert after.image.shape == before.image.shape
    assert (after.image != before.image).any()
    np.testing.assert_array_equal(after.target["mask"], before.target["mask"])
    np.testing.assert_array_equal(before.image, sample(dtype, (8, 8, 8)).image)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_values_end_where_the_type_ends(dtype: str) -> None:
    before = sample(dtype)
    for name, params in (
        ("intensity", {"brightness": 1e6, "probability": 1.0}),
        ("noise_volume", {"std": [1e9, 1e9], "probability": 1.0}),
    ):
        after = built(name, **params)(before, seeded(1)).image
        ends = np.iinfo(dtype).min, np.iinfo(dtype).max
        assert set(np.unique(after)) <= set(ends), "no value wraps around"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_table_says_what_arithmetic_says(dtype: str) -> None:
    change = built("intensity", probability=1.0, brightness=0.5, contrast=0.3)
    for seed in range(10):
        whole = change(sample(dtype), seeded(seed)).image
        real = change(sample("float32"), seeded(seed)).image
        np.testing.assert_array_equal(whole, np.rint(real).clip(0, np.iinfo(dtype).max))


def test_brightness_is_in_units_of_the_normalised_image() -> None:
    change = built("intensity", probability=1.0, brightness=0.5, contrast=0.0, gamma=[1.0, 1.0])
    shifts = [
        float((change(sample("float32"), seeded(seed)).image - sample("float32").image).mean()) / 30
        for seed in range(200)
    ]
    assert -0.5 <= min(shifts) < -0.4
    assert 0.5 >= max(shifts) > 0.4


def test_gamma_keeps_the_darkest_and_the_lightest() -> None:
    change = built("intensity", probability=1.0, brightness=0.0, contrast=0.0, gamma=[0.5, 0.5])
    before, after = sample("float32").image, change(sample("float32"), seeded(0)).image
    assert (after.min(), after.max()) == pytest.approx((before.min(), before.max()))
    assert (after >= before - 1e-3).all()


def test_noise_is_as_strong_as_it_says() -> None:
    before = sample("float32", (24, 24, 24))
    after = built("noise_volume", std=[0.2, 0.2], probability=1.0)(before, seeded(0))
    assert float((after.image - before.image).std()) == pytest.approx(6, rel=0.03)


@pytest.mark.parametrize(("name", "params"), [*MOVES, *CHANGES])
def test_a_change_is_a_function_of_the_generator(name: str, params: dict[str, Any]) -> None:
    change = built(name, **params)
    first = change(sample(), seeded(3))
    np.testing.assert_array_equal(first.image, change(sample(), seeded(3)).image)
    unchanged = {**params, "probability": 0.0}
    if name != "flip_volume":
        still = built(name, **unchanged)(sample(), seeded(3))
        np.testing.assert_array_equal(still.image, sample().image)


def test_a_constant_crop_stays_finite() -> None:
    flat = Sample(
        "x", np.full((1, 3, 3, 3), 7, np.float32), {"mask": np.zeros((3, 3, 3), np.uint8)},
        np.float32([7]), np.float32([1]),
    )  # fmt: skip
    for seed in range(5):
        assert np.isfinite(built("intensity", probability=1.0)(flat, seeded(seed)).image).all()


@pytest.mark.parametrize("name", ["flip_volume", "rotate90_volume"])
def test_an_image_is_refused_with_the_transform_for_images(name: str) -> None:
    flat = Sample(
        "x", np.zeros((3, 4, 4), np.uint8), {"mask": np.zeros((4, 4), np.uint8)},
        np.zeros(3, np.float32), np.ones(3, np.float32),
    )  # fmt: skip
    with pytest.raises(RecipeError, match=f"use {name.removesuffix('_volume')}"):
        built(name)(flat, seeded(0))
