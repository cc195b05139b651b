"""Trains from typed, versioned, explained recipes."""

__version__ = "0.1.0"
