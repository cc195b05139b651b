"""Lints of detectors."""

from runner.language.lints.lint import Said, lint
from runner.language.lints.subject import Subject
from runner.registry import metrics

_LOW = 0.01
"""A score below which a box hardly moves a precision-recall curve."""


@lint(
    reason="mAP ranks all boxes by score, so a threshold can only cut recall off",
    cure="0.001 for the metric; task.params.display_score is the one for pictures",
)
def score_threshold_for_map(subject: Subject) -> Said:
    """A score threshold under mAP, where one for display does not belong."""
    for found in subject.parts(metrics, "average_precision"):
        score = found.params.score_threshold
        if score > _LOW:
            yield found.at("score_threshold"), f"boxes that score below {score:g} do not count"
