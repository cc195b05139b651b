"""Transforms: augmentations of the training samples, seeded by the draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from runner.registry import transforms

if TYPE_CHECKING:
    from runner.contracts import Transform

Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0)]


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        message = f"{list(ends)} is a range: write the smaller end first"
        raise PydanticCustomError("range", "{reason}", {"reason": message})
    return ends


FactorRange = Annotated[tuple[Factor, Factor], AfterValidator(_ascending)]
Area = Annotated[float, Field(gt=0, le=1)]
AreaRange = Annotated[tuple[Area, Area], AfterValidator(_ascending)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_ascending)]
Deviation = Annotated[float, Field(ge=0)]
DeviationRange = Annotated[tuple[Deviation, Deviation], AfterValidator(_ascending)]


@transforms.register
def flip(*, horizontal: Probability = 0.5, vertical: Probability = 0.0) -> Transform:
    """Mirror image and mask or boxes.

    Args:
        horizontal: probability of swapping left and right.
        vertical: probability of swapping top and bottom.
    """
    from runner.data import augmentation

    return augmentation.flip(horizontal, vertical)


@transforms.register
def rotate90(*, probability: Probability = 0.75) -> Transform:
    """Turn image and mask or boxes by a random multiple of 90 degrees; crops must be square.

    Args:
        probability: of drawing one of the four turns, none among them.
    """
    from runner.data import augmentation

    return augmentation.rotate90(probability)


@transforms.register
def affine(
    *,
    scale: FactorRange = (0.8, 1.25),
    rotate_degrees: Annotated[float, Field(ge=0, le=180)] = 15.0,
    shear_degrees: Annotated[float, Field(ge=0, lt=90)] = 0.0,
    translate: Share = 0.0,
    probability: Probability = 1.0,
) -> Transform:
    """Scale, rotate, shear and move; what comes from outside is black and ignored.

    Args:
        scale: smallest and largest factor, the same in height and width.
        rotate_degrees: largest angle, either way.
        shear_degrees: largest angle, either way, along both axes.
        translate: largest move, either way, as a share of height and width.
        probability: that a sample is changed.
    """
    from runner.data import augmentation

    return augmentation.affine(scale, rotate_degrees, shear_degrees, translate, probability)


@transforms.register
def zoom_crop(*, scale: AreaRange = (0.5, 1.0), probability: Probability = 0.5) -> Transform:
    """A random part of the image, of its proportions, brought back to its size.

    Args:
        scale: smallest and largest share of the image's area.
        probability: that a sample is changed.
    """
    from runner.data import augmentation

    return augmentation.ZoomCrop(scale, probability)


@transforms.register
def color_jitter(
    *,
    brightness: Share = 0.2,
    contrast: Share = 0.2,
    saturation: Share = 0.2,
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05,
    probability: Probability = 1.0,
) -> Transform:
    """Change the colours of the image.

    Args:
        brightness: largest change of the factor of all values, either way.
        contrast: largest change of the factor around the mean grey, either way.
        saturation: largest change of the factor around the pixel's own grey, either way.
        hue: largest shift, either way, in turns of the colour wheel.
        probability: that a sample is changed.
    """
    from runner.data import augmentation

    return augmentation.color_jitter(brightness, contrast, saturation, hue, probability)


@transforms.register
def blur(*, sigma_px: FactorRange = (0.3, 1.5), probability: Probability = 0.2) -> Transform:
    """Blur the image by a Gaussian.

    Args:
        sigma_px: smallest and largest standard deviation, in pixels.
        probability: that a sample is changed.
    """
    from runner.data import augmentation

    return augmentation.blur(sigma_px, probability)


@transforms.register
def noise(*, std: ShareRange = (0.01, 0.05), probability: Probability = 0.2) -> Transform:
    """Add Gaussian noise to the image, to each channel its own.

    Args:
        std: smallest and largest standard deviation, as a share of the range from black to white.
        probability: that a sample is changed.
    """
    from runner.data import augmentation

    return augmentation.noise(std, probability)


@transforms.register
def flip_volume(
    *, depth: Probability = 0.5, height: Probability = 0.5, width: Probability = 0.5
) -> Transform:
    """Mirror volume and mask.

    Args:
        depth: probability of swapping first and last slice.
        height: probability of swapping top and bottom.
        width: probability of swapping left and right.
    """
    from runner.data.volumes.augmentation import FlipVolume

    return FlipVolume(depth, height, width)


@transforms.register
def rotate90_volume(
    *, probability: Probability = 0.75, axes: Literal["plane", "all"] = "plane"
) -> Transform:
    """Turn volume and mask by a random multiple of 90 degrees; the turned edges must be equal.

    Args:
        probability: of drawing one of the four turns, none among them.
        axes: plane: of height and width; all: of any two axes, for patches that are cubes.
    """
    from runner.data.volumes.augmentation import Rotate90Volume

    return Rotate90Volume(probability, axes)


@transforms.register
def intensity(
    *,
    brightness: Annotated[float, Field(ge=0)] = 0.1,
    contrast: Share = 0.2,
    gamma: FactorRange = (0.8, 1.25),
    probability: Probability = 0.5,
) -> Transform:
    """Change gamma, contrast and brightness of the image, in this order.

    Args:
        brightness: largest shift, either way, in units of the normalised image.
        contrast: largest change of the factor around the crop's mean, either way.
        gamma: smallest and largest exponent between the crop's darkest and lightest value.
        probability: that a sample is changed.
    """
    from runner.data.volumes.augmentation import Intensity

    return Intensity(brightness, contrast, gamma, probability)


@transforms.register
def noise_volume(*, std: DeviationRange = (0.0, 0.1), probability: Probability = 0.2) -> Transform:
    """Add Gaussian noise to the image, to each voxel its own.

    Args:
        std: smallest and largest standard deviation, in units of the normalised image.
        probability: that a sample is changed.
    """
    from runner.data.volumes.augmentation import NoiseVolume

    return NoiseVolume(std, probability)
