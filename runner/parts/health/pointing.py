"""Health rules of pointing until done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.registry import health
from runner.rules import Remark, rule

if TYPE_CHECKING:
    from runner.contracts import HealthRule, History

Share = Annotated[float, Field(ge=0, le=1)]


@health.register
def done_collapse(
    *, below: Share = 0.2, grace: Share = 0.0, metric: str = "val/done/largest", stops: bool = False
) -> HealthRule:
    """The done signal is never given: critical. Good where it is.

    Args:
        below: largest predicted probability under which the signal has collapsed.
        grace: share of the training in which nothing is said.
        metric: that probability.
        stops: whether it ends the training.
    """
    advice = "draw more steps in which all is done: sampler done_mode: balanced"

    def judge(history: History) -> Iterator[Remark]:
        values = history.evaluated[-1].values if history.evaluated else {}
        value = values.get(metric)
        if value is None or history.progress.fraction < grace:
            return
        if value < below:
            message = f"the largest done probability is {value:.3g}, below {below:g}"
            yield Remark("critical", metric, value, below, message, advice, stops)
        elif (recall := values.get("val/done/recall")) is not None and recall > 0.5:
            message = f"done is said in {recall:.0%} of the steps in which it is so"
            yield Remark("good", metric, value, below, message)

    return rule("done_collapse", judge, metric)
