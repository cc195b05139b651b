"""Labelled volumes: read slab by slab, cut into patches."""
