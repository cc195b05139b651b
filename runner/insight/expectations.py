"""Hold what a recipe expects against what its run showed."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.language.recipe import Expectation


def check_expectations(
    expectations: Sequence[Expectation],
    scale: str,
    *,
    end: Mapping[str, float],
    best: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Return one row for each expectation of the run's scale.

    Args:
        expectations: of the recipe.
        scale: of the run; expectations of another scale are not asked.
        end: metrics of the last evaluation.
        best: metrics of the evaluation with the best monitored metric.
    Returns: rows of metric, at, wanted (text), got (None where it was never measured), met.
    """
    rows = []
    for expectation in expectations:
        if expectation.scale != scale:
            continue
        got = (end if expectation.at == "end" else best).get(expectation.metric)
        low, high = expectation.min, expectation.max
        met = got is not None and (low is None or got >= low) and (high is None or got <= high)
        bounds = [f">= {low:g}"] if low is not None else []
        bounds += [f"<= {high:g}"] if high is not None else []
        rows.append(
            {
                "metric": expectation.metric,
                "at": expectation.at,
                "wanted": " and ".join(bounds),
                "got": got,
                "met": met,
            }
        )
    return rows
