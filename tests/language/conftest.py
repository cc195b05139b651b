"""Lets the test modules here share what changes the values of recipes."""

import sys
from pathlib import Path

# pytest imports tests by path; a module that they share is found only where Python looks.
sys.path.insert(0, str(Path(__file__).parent))
