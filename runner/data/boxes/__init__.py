"""Images with boxes: four formats read, faults mended, one size for all."""
