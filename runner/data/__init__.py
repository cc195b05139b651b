"""Readers of real on-disk formats, their caches, the crops taken from them."""
