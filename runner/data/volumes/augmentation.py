"""Augmentations of volumes with masks, in numpy, seeded by the draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from runner.contracts import Sample
from runner.errors import Problem, RecipeError

Planes = Literal["plane", "all"]

_DEPTH, _HEIGHT, _WIDTH = -3, -2, -1


@dataclass(frozen=True)
class FlipVolume:
    """Mirroring, with a probability for each axis."""

    depth: float
    height: float
    width: float

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Return the sample mirrored, in views."""
        odds = {_DEPTH: self.depth, _HEIGHT: self.height, _WIDTH: self.width}
        draws = generator.random(len(odds))
        axes = tuple(axis for (axis, odd), at in zip(odds.items(), draws, strict=True) if at < odd)
        return _moved(sample, lambda array: np.flip(array, axes), "flip_volume", "flip")


@dataclass(frozen=True)
class Rotate90Volume:
    """A turn by a random multiple of 90 degrees.

    Attributes:
        probability: of drawing one of the four turns, none among them.
        axes: ``plane``: of height and width; ``all``: of any two axes, each equally likely.
    """

    probability: float
    axes: Planes

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Return the sample turned, in views."""
        is_turned = generator.random() < self.probability
        turns = int(generator.integers(4)) if is_turned else 0
        planes = [(_HEIGHT, _WIDTH), (_DEPTH, _WIDTH), (_DEPTH, _HEIGHT)]
        plane = planes[int(generator.integers(3)) if self.axes == "all" else 0]
        return _moved(
            sample, lambda array: np.rot90(array, turns, plane), "rotate90_volume", "rotate90"
        )


@dataclass(frozen=True)
class Intensity:
    """Gamma, contrast and brightness of the normalised image.

    Attributes:
        brightness: largest shift, either way, in units of the normalised image.
        contrast: largest change of the factor around the mean, either way.
        gamma: smallest and largest exponent, drawn evenly on a logarithmic scale.
        probability: that a sample is changed.
    """

    brightness: float
    contrast: float
    gamma: tuple[float, float]
    probability: float

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Return the sample with other intensities; the mask is as it was."""
        if generator.random() >= self.probability:
            return sample
        shift = float(generator.uniform(-self.brightness, self.brightness))
        factor = float(generator.uniform(1 - self.contrast, 1 + self.contrast))
        exponent = float(np.exp(generator.uniform(*np.log(self.gamma))))
        channels = [
            _mapped(channel, _curve(channel, exponent, factor, shift * float(std)))
            for channel, std in zip(sample.image, sample.std, strict=True)
        ]
        return replace(sample, image=np.stack(channels))


@dataclass(frozen=True)
class NoiseVolume:
    """Gaussian noise, drawn for each voxel.

    Attributes:
        std: smallest and largest standard deviation, in units of the normalised image.
        probability: that a sample is changed.
    """

    std: tuple[float, float]
    probability: float

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Return the sample with noise; the mask is as it was."""
        if generator.random() >= self.probability:
            return sample
        noise = generator.standard_normal(sample.image.shape, np.float32)
        scale = np.float32(generator.uniform(*self.std)) * sample.std.astype(np.float32)
        noise *= scale.reshape(-1, *[1] * (sample.image.ndim - 1))
        noise += sample.image
        return replace(sample, image=_as_type(noise, sample.image.dtype))


def _moved(
    sample: Sample, move: Callable[[NDArray[Any]], NDArray[Any]], name: str, other: str
) -> Sample:
    """Return image and mask moved alike."""
    assert set(sample.target) == {"mask"}, f"no step moves {sorted(sample.target)}"
    if sample.image.ndim != 4:
        message = f"{name} moves volumes, and this is an image; use {other}"
        raise RecipeError(Problem("", "data.params.transforms", message))
    return replace(sample, image=move(sample.image), target={"mask": move(sample.target["mask"])})


def _curve(
    channel: NDArray[Any], exponent: float, factor: float, shift: float
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return what is done to each value, in raw units; gamma keeps the crop's darkest and lightest.

    An affine map between raw and normalised units changes neither gamma nor contrast, and a
    shift by the standard deviation: nothing has to be normalised for it.
    """
    low, high = float(channel.min()), float(channel.max())
    span = (high - low) or 1.0
    middle = float(channel.mean(dtype=np.float64))

    def curve(values: NDArray[np.float32]) -> NDArray[np.float32]:
        curved = ((values - low) / span).clip(0, 1) ** exponent * span + low
        return np.asarray((curved - middle) * factor + middle + shift, np.float32)

    return curve


def _mapped(
    channel: NDArray[Any], curve: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> NDArray[Any]:
    """Return a channel with a curve applied; by a table where it has few different values."""
    if channel.dtype in (np.uint8, np.uint16):
        table = np.arange(np.iinfo(channel.dtype).max + 1, dtype=np.float32)
        return np.asarray(_as_type(curve(table), channel.dtype)[channel])
    return _as_type(curve(channel.astype(np.float32)), channel.dtype)


def _as_type(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return values in the type of the file, cut off where it ends."""
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        return np.asarray(values.clip(limits.min, limits.max), dtype)
    whole = np.iinfo(dtype)
    return np.asarray(np.rint(values).clip(whole.min, whole.max), dtype)
