"""What reading a data set has found, told where a training starts, and by ``runner analyze``."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from runner.statistics import Remark

LOG = logging.getLogger(__name__)

SHOWN = 5
"""Places that a training's start tells; ``runner analyze`` has more."""

NAMED = 20
"""Places that a remark names."""


def tell_remarks(remarks: Iterable[Remark]) -> None:
    """Log remarks, each with its first places."""
    for each in remarks:
        LOG.info("%s", "\n  ".join((each.message, *each.places[:SHOWN])))
