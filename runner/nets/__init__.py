"""Networks, losses and counts: torch code that knows no recipe and no data set."""
