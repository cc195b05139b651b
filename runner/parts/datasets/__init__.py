"""Datasets: where the samples come from."""

from runner.parts.datasets import boxes, points, segmentation, volumes

__all__ = ["boxes", "points", "segmentation", "volumes"]
