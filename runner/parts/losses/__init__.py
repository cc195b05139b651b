"""Losses that a recipe can name."""

from runner.parts.losses import detection, pointing, segmentation

__all__ = ["detection", "pointing", "segmentation"]
