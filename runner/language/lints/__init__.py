"""Lints: what a recipe may say, and what has gone wrong for those who said it."""
