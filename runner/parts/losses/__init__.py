"""Losses that a recipe can name."""

from runner.parts.losses import detection, segmentation

__all__ = ["detection", "segmentation"]
