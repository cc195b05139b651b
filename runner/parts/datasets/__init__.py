"""Datasets: where the samples come from."""

from runner.parts.datasets import points, segmentation, volumes

__all__ = ["points", "segmentation", "volumes"]
