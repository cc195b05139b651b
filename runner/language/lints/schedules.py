"""Lints of lengths: of the training, its warm-up, its schedule and its patience."""

from collections.abc import Iterator
from typing import Any

from runner.counting import number_of
from runner.language.lints.lint import Said, lint
from runner.language.lints.subject import Subject
from runner.language.training import Train
from runner.registry import schedules

_WARM = ("constant", "cosine", "cosine_warm_restarts", "poly", "plateau")
"""Schedules with a warm-up."""

_LONG = 0.5
"""Share of the training from which a warm-up is taken for a mistake."""

_TOLERANCE = 0.01


def share_of_training(duration: Any, train: Train) -> float | None:
    """Return how much of the training a duration takes; None where only the data can tell."""
    if duration is None:
        return 0.0
    for unit, length in (("epochs", train.epochs), ("steps", train.steps)):
        if getattr(duration, unit) is not None and length is not None:
            return float(getattr(duration, unit) / length)
    return getattr(duration, "fraction", None)


def patience_share(train: Train) -> float | None:
    """Return how much of the training passes before early stopping; None where unknown."""
    every = share_of_training(train.evaluate_every, train)
    if every is None or train.early_stopping is None:
        return None
    return train.early_stopping.patience * every


@lint(
    reason="the full rate is hardly reached, or never",
    cure="a shorter warm-up, such as {fraction: 0.05}, or a longer training",
)
def long_warmup(subject: Subject) -> Said:
    """A warm-up of half of the training and more."""
    for found in subject.parts(schedules, *_WARM):
        share = share_of_training(found.params.warmup, subject.recipe.train)
        if share is not None and share >= _LONG:
            yield found.at("warmup"), f"the warm-up takes {share:.0%} of the training"


@lint(
    reason="the rate ends elsewhere than the schedule is meant to",
    cure="a duration of the training's length, or none; restarts that fill the training",
)
def schedule_of_another_length(subject: Subject) -> Said:
    """A cosine that is shorter or longer than the training, or restarts that do not fill it."""
    train = subject.recipe.train
    for found in subject.parts(schedules, "cosine"):
        share = share_of_training(found.params.duration, train)
        if not share or abs(share - 1) <= _TOLERANCE:
            continue
        message = f"the cosine takes {share:.0%} of the training, which "
        rest = "goes on at min_lr" if share < 1 else "ends before it has come down"
        yield found.at("duration"), message + rest
    for found in subject.parts(schedules, "cosine_warm_restarts"):
        *_, (start, length) = _cycles(found.params, train) or [(0.0, 0.0)]
        if length and start + length > 1 + _TOLERANCE:
            run = (1 - start) / length
            message = f"the last cosine ends at {run:.0%} of its length, far from min_lr"
            yield found.at("first"), message


def _cycles(params: Any, train: Train) -> list[tuple[float, float]]:
    """Return begin and length of each cosine as shares of the training; none where unknown."""
    start = share_of_training(params.warmup, train)
    length = share_of_training(params.first, train)
    if start is None or not length:
        return []
    return list(_repeated(start, length, params.multiplier))


def _repeated(start: float, length: float, multiplier: float) -> Iterator[tuple[float, float]]:
    while start < 1 - _TOLERANCE and length > 1e-6:
        yield start, length
        start, length = start + length, length * multiplier


@lint(
    reason="early stopping never stops anything",
    cure="a smaller patience, or none",
)
def endless_patience(subject: Subject) -> Said:
    """A patience as long as the training."""
    share = patience_share(subject.recipe.train)
    if share is not None and share >= 1:
        yield (*_STOPPING, "patience"), f"the patience is {share:.0%} of the training"


@lint(
    reason="a restart makes the metric worse first, and the run is stopped before it is better",
    cure="a patience longer than the longest cosine",
)
def patience_within_a_restart(subject: Subject) -> Said:
    """A patience shorter than a cycle of warm restarts."""
    train = subject.recipe.train
    patience = patience_share(train)
    for found in subject.parts(schedules, "cosine_warm_restarts"):
        longest = max((length for _, length in _cycles(found.params, train)), default=0.0)
        if patience is not None and patience < longest:
            message = (
                f"the patience is {patience:.0%} of the training, its longest cosine {longest:.0%}"
            )
            yield (*_STOPPING, "patience"), message


@lint(
    reason="the run is stopped before the rate is ever lowered",
    cure="a patience of early stopping of several times the schedule's",
)
def stopped_before_the_rate_falls(subject: Subject) -> Said:
    """Early stopping that is less patient than the schedule."""
    stopping = subject.recipe.train.early_stopping
    for found in subject.parts(schedules, "plateau"):
        if stopping is not None and stopping.patience <= found.params.patience:
            message = (
                f"the rate is lowered after more than "
                f"{number_of(found.params.patience, 'evaluations')} without "
                f"improvement, the run stopped after {stopping.patience}"
            )
            yield (*_STOPPING, "patience"), message


_STOPPING = ("train", "early_stopping")
