"""Augmentations of images with masks or boxes, carried out by albumentations."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby

import cv2
import numpy as np

from runner.contracts import IGNORE, Sample, Transform

# Without it albumentations asks a server for its newest version.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A  # noqa: E402

LEAST_VISIBLE = 0.2
"""Share of a box that must stay in the image, or the box is dropped; and one pixel of it at least.

What is left of a cow at the edge of a crop may be too little to tell it from grass.
"""


class Augmentation:
    """Steps of albumentations, run as one; all that is random comes from the draw's generator."""

    def __init__(self, *steps: A.BasicTransform) -> None:
        self.steps = steps
        self._compose = A.Compose(list(steps))
        self.moves_pixels = any(isinstance(step, A.DualTransform) for step in steps)

    @cached_property
    def _compose_with_boxes(self) -> A.Compose:
        # Rows are corners and class: the fifth column goes along unchanged.
        boxes = A.BboxParams("pascal_voc", min_visibility=LEAST_VISIBLE, min_area=1.0, clip=True)
        return A.Compose(list(self.steps), bbox_params=boxes)

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Return the sample changed, in views or arrays of their own.

        Args:
            sample: image (C, H, W) uint8 with a ``mask`` (H, W), or with ``boxes`` (N, 5) of
                corners and class, and no other target. Boxes out of sight are dropped.
            generator: of the draw.
        """
        [name] = sample.target
        assert name in ("mask", "boxes"), f"no step moves {name}"
        target = sample.target[name]
        has_boxes = name == "boxes" and self.moves_pixels
        compose = self._compose_with_boxes if has_boxes else self._compose
        compose.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        image = sample.image.transpose(1, 2, 0)
        if has_boxes:
            done = compose(image=image, bboxes=target)
            target = np.asarray(done["bboxes"], np.float32).reshape(-1, 5)
        elif name == "boxes":
            done = compose(image=image)
        else:
            done = compose(image=image, mask=target)
            target = done["mask"]
        return replace(sample, image=done["image"].transpose(2, 0, 1), target={name: target})


def merged(transforms: Sequence[Transform]) -> tuple[Transform, ...]:
    """Return the same transforms, neighbouring augmentations run as one, which saves checks."""
    result: list[Transform] = []
    for is_augmentation, group in groupby(transforms, lambda each: isinstance(each, Augmentation)):
        members = list(group)
        if is_augmentation:
            steps = [
                step for each in members if isinstance(each, Augmentation) for step in each.steps
            ]
            result.append(Augmentation(*steps))
        else:
            result += members
    return tuple(result)


def flip(horizontal: float, vertical: float) -> Augmentation:
    """Return mirroring with a probability for each axis."""
    return Augmentation(A.HorizontalFlip(p=horizontal), A.VerticalFlip(p=vertical))


def rotate90(probability: float) -> Augmentation:
    """Return a turn by a random multiple of 90 degrees."""
    return Augmentation(A.RandomRotate90(p=probability))


def affine(
    scale: tuple[float, float],
    rotate_degrees: float,
    shear_degrees: float,
    translate: float,
    probability: float,
) -> Augmentation:
    """Return a random affine map; what it uncovers is black and ignored."""
    step = A.Affine(
        scale=scale,
        keep_ratio=True,
        rotate=(-rotate_degrees, rotate_degrees),
        shear=(-shear_degrees, shear_degrees),
        translate_percent=(-translate, translate),
        border_mode=cv2.BORDER_CONSTANT,
        fill=0,
        fill_mask=IGNORE,
        p=probability,
    )
    return Augmentation(step)


class ZoomCrop:
    """A random part of the image, brought back to the image's own size."""

    moves_pixels = True

    def __init__(self, scale: tuple[float, float], probability: float) -> None:
        """Make the transform.

        Args:
            scale: smallest and largest share of the image's area.
            probability: that a sample is changed.
        """
        self.scale = scale
        self.probability = probability
        self._of_size: dict[tuple[int, int], Augmentation] = {}

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Return the part, of the proportions of the whole."""
        height, width = sample.image.shape[1:]
        if (height, width) not in self._of_size:
            step = A.RandomResizedCrop(
                (height, width), scale=self.scale, ratio=(width / height, width / height),
                p=self.probability,
            )  # fmt: skip
            self._of_size[height, width] = Augmentation(step)
        return self._of_size[height, width](sample, generator)


def color_jitter(
    brightness: float, contrast: float, saturation: float, hue: float, probability: float
) -> Augmentation:
    """Return random factors of brightness, contrast and saturation, and a shift of the hue."""
    step = A.ColorJitter(
        brightness=(1 - brightness, 1 + brightness),
        contrast=(1 - contrast, 1 + contrast),
        saturation=(1 - saturation, 1 + saturation),
        hue=(-hue, hue),
        p=probability,
    )
    return Augmentation(step)


def blur(sigma_px: tuple[float, float], probability: float) -> Augmentation:
    """Return a Gaussian blur whose kernel is as large as its sigma needs."""
    return Augmentation(A.GaussianBlur(sigma_limit=sigma_px, blur_limit=0, p=probability))


def noise(std: tuple[float, float], probability: float) -> Augmentation:
    """Return additive Gaussian noise, in shares of the range of values."""
    return Augmentation(A.GaussNoise(std_range=std, p=probability))
