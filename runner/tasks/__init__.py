"""What each scenario predicts and how its predictions are scored."""
