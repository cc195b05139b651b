"""Datasets: where the samples come from."""

from runner.parts.datasets import boxes, segmentation, volumes

__all__ = ["boxes", "segmentation", "volumes"]
