"""Lints of learning from pseudo-labels."""

from collections.abc import Iterator
from typing import Any

from runner.language.lints.lint import Said, lint
from runner.language.lints.subject import Placed, Subject
from runner.registry import datasets, tasks


@lint(
    reason="its mistakes are believed as its hits are, and are learned",
    cure="one near 0.9",
)
def believes_everything(subject: Subject) -> Said:
    """A threshold of 0 for pseudo-labels."""
    for found in _learning(subject):
        thresholds = found.params.thresholds
        if not isinstance(thresholds, dict):
            thresholds = {"": thresholds}
        for name, threshold in thresholds.items():
            if threshold == 0:
                what = f"every prediction of {name}" if name else "every prediction"
                message = f"{what} is believed, however unlikely"
                yield found.at("thresholds", *([name] if name else [])), message


@lint(
    reason="a label of the view it was made from tells a network what it says already",
    cure="teacher_decay: 0.999, and data.params.strong: [{name: color_jitter}]",
)
def confirms_itself(subject: Subject) -> Said:
    """A network that labels the very view that it learns from."""
    for found in _learning(subject):
        strong = getattr(subject.recipe.data.params, "strong", ())
        if found.params.teacher_decay is None and not strong:
            yield found.at("teacher_decay"), "the weights label for themselves, the same view"


@lint(
    reason="what is measured has been seen in training",
    cure="splits.by: source, unlabelled_splits: [train]",
)
def allowed_leak(subject: Subject) -> Said:
    """A leak between training and validation that the recipe lets be."""
    for found in subject.parts(datasets, "partly_labelled_folder"):
        if kinds := found.params.allow_leak:
            yield found.at("allow_leak"), ", ".join(kinds)


def _learning(subject: Subject) -> Iterator[Placed]:
    """Yield tasks whose pseudo-labels weigh something."""
    for found in subject.parts(tasks, "self_training"):
        params: Any = found.params
        if params.weight > 0:
            yield found
