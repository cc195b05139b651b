"""Health rules: what good, warning and critical look like while training.

A rule says the same thing for as long as it is true; the loop passes on what changed. When a
warning is over, the rule says so once with a good finding.
"""

from runner.parts.health import (
    classes,
    curves,
    detection,
    foreground,
    losses,
    phases,
    pointing,
    self_training,
)

__all__ = [
    "classes", "curves", "detection", "foreground", "losses", "phases", "pointing", "self_training",
]  # fmt: skip
