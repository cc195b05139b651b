"""Detectors: heads on grids, their losses, and what boxes are scored by."""
