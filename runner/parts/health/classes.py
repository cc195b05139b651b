"""Health rules of single classes of a segmentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runner.registry import health
from runner.rules import Remark, class_figures, is_untold, rule

if TYPE_CHECKING:
    from runner.contracts import HealthRule, History

Share = Annotated[float, Field(ge=0, le=1)]


@health.register
def dead_class(
    *, grace: Share, good_iou: Share | None = None, at_most: Share = 0.0, stops: bool = False
) -> HealthRule:
    """A class that is never predicted: critical. Good where its IoU is high enough.

    A class of which the validation split has no pixel cannot be found in it: a warning.

    Args:
        grace: share of the training in which nothing is said of a dead class.
        good_iou: IoU above which a class is called good; without one none is.
        at_most: IoU or accuracy up to which a class counts as dead.
        stops: whether a dead class ends the training.
    """
    advice = "weight its loss by its share of the pixels, or draw crops that hold it"
    cure = (
        "split the data anew, leave the class out, or, where masks of class indices hold it as "
        "255, which is ignored, write its ids: classes: {NAME: [255]} beside those of the others"
    )

    def judge(history: History) -> Iterator[Remark]:
        for name, iou, accuracy in class_figures(history):
            if is_untold(history, name):
                message = f"class {name}: no pixel of the validation split is {name}"
                own = cure.replace("NAME", name)
                yield Remark("warning", name, None, None, message, own)
                continue
            figures = {"IoU": iou, "accuracy": accuracy}
            dead = {what: value for what, value in figures.items() if value <= at_most}
            if dead and history.progress.fraction >= grace:
                what, value = min(dead.items(), key=lambda figure: figure[1])
                message = f"class {name}: {what} {value:.3g} is not above {at_most:g}"
                yield Remark("critical", name, value, at_most, message, advice, stops)
            elif good_iou is not None and iou > good_iou:
                message = f"class {name}: IoU {iou:.3g} is above {good_iou:g}"
                yield Remark("good", name, iou, good_iou, message)

    return rule("dead_class", judge, "val/iou/*", "val/accuracy/*")


@health.register
def over_weighted_class(*, recall: Share, iou: Share, grace: Share = 0.0) -> HealthRule:
    """A class that is predicted where it is not, for the sake of its recall: warning.

    Args:
        recall: accuracy of the class above which the rule looks at it.
        iou: IoU below which the class then counts as over-weighted.
        grace: share of the training in which nothing is said.
    """
    advice = "lower the weight of its loss, or cap it"

    def judge(history: History) -> Iterator[Remark]:
        if history.progress.fraction < grace:
            return
        for name, got_iou, accuracy in class_figures(history):
            if accuracy > recall and got_iou < iou:
                message = (
                    f"class {name}: recall {accuracy:.3g} is above {recall:g} while IoU "
                    f"{got_iou:.3g} is below {iou:g}"
                )
                yield Remark("warning", name, got_iou, iou, message, advice)

    return rule("over_weighted_class", judge, "val/iou/*", "val/accuracy/*")
