"""Images with a point for each object, pointed at one after another."""
