"""The training loop, what feeds it, what it leaves on disk."""
