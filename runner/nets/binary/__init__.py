"""One class against the rest: losses, overlap, and the score of surfaces."""
