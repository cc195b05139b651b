"""Datasets: where the samples come from."""

from runner.parts.datasets import segmentation, volumes

__all__ = ["segmentation", "volumes"]
