"""What runs and data show: expectations held against results."""
