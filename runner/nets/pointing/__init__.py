"""A network that points at one place, its losses, and what it is scored by."""
