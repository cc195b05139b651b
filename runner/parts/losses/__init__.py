"""Losses that a recipe can name."""

from runner.parts.losses import pointing, segmentation

__all__ = ["pointing", "segmentation"]
