"""What reading a data set has found, told where a training starts."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from runner.statistics import Remark

LOG = logging.getLogger(__name__)

_SHOWN = 5
"""Places of a remark that are told; ``runner analyze`` has more."""


def tell_remarks(remarks: Iterable[Remark]) -> None:
    """Log remarks, each with its first places."""
    for each in remarks:
        LOG.info("%s", "\n  ".join((each.message, *each.places[:_SHOWN])))
