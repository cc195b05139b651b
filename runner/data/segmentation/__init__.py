"""Images with masks: classes by id or colour, crops, tiles, few labels."""
