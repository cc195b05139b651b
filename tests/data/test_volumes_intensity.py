from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runner.data.volumes import intensity as volumes_intensity
from runner.data.volumes.intensity import Intensity, Normalisation, measure_intensity
from runner.errors import DataError

PATH = Path("x.tif")
RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes_intensity, "SLAB_VOXELS", 500)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_zscore_is_mean_and_standard_deviation(dtype: str) -> None:
    volume = RANDOM.normal(100, 20, (9, 15, 16)).astype(dtype)
    figures = measure_intensity(PATH, volume, Normalisation("zscore"))
    assert figures.mean == pytest.approx(volume.mean(dtype=np.float64), rel=1e-12)
    assert figures.std == pytest.approx(volume.std(dtype=np.float64), rel=1e-9)
    assert (figures.low, figures.high) == (-np.inf, np.inf)


def test_a_large_offset_costs_no_precision() -> None:
    volume = (RANDOM.normal(0, 1, (9, 15, 16)) + 1e8).astype(np.float64)
    figures = measure_intensity(PATH, volume, Normalisation("zscore"))
    assert figures.std == pytest.approx(volume.std(), rel=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int8", "int16", "float32", "int32"])
@pytest.mark.parametrize("percent", [(0.0, 100.0), (0.5, 99.5), (10.0, 50.0)])
def test_percentiles_are_those_of_the_whole_volume(
    dtype: str, percent: tuple[float, float]
) -> None:
    low = -100 if dtype.startswith("i") else 0
    volume = RANDOM.integers(low, 120, (9, 15, 16)).astype(dtype)
    figures = measure_intensity(PATH, volume, Normalisation("percentile", percent))
    wanted = np.percentile(volume, percent, method="inverted_cdf")
    assert (figures.low, figures.high) == tuple(map(float, wanted))
    assert (figures.mean, figures.std) == (figures.low, figures.high - figures.low)


def test_percentiles_of_large_float_volumes_come_from_a_grid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(volumes_intensity, "SUBSAMPLED_VOXELS", 1000)
    volume = RANDOM.random((40, 40, 40), np.float32)
    figures = measure_intensity(PATH, volume, Normalisation("percentile", (10.0, 90.0)))
    grid = volume[::4, ::4, ::4]
    assert figures.low == pytest.approx(np.percentile(grid, 10, method="inverted_cdf"))


def test_values_as_stored_are_left_alone() -> None:
    assert measure_intensity(PATH, np.ones((2, 3, 4), np.uint8), Normalisation("none")) == (
        Intensity(0.0, 1.0)
    )


@pytest.mark.parametrize("how", [Normalisation("zscore"), Normalisation("percentile", (1.0, 99.0))])
def test_a_constant_volume_becomes_zero(how: Normalisation) -> None:
    figures = measure_intensity(PATH, np.full((3, 4, 5), 7, np.uint16), how)
    assert (figures.mean, figures.std) == (7.0, 1.0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["zscore", "none"])
def test_values_that_are_no_numbers_are_named(wrong: float, kind: str) -> None:
    volume = np.zeros((9, 15, 16), np.float32)
    volume[3, :2, 0] = wrong
    with pytest.raises(DataError, match="x.tif: 2 voxels are infinite or no number"):
        measure_intensity(PATH, volume, Normalisation(kind))  # type: ignore[arg-type]
