"""How far a training is, as schedules, tasks and samplers are told."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    In a compressed plan (``train.compress_to_steps``) ``step`` and ``epoch`` are those of the
    plan as written, so that a horizon written in either keeps its share of the training.

    Attributes:
        step: optimizer steps done.
        epoch: epochs done, with the fraction of the running one.
        fraction: of the whole training, in [0, 1].
        monitored: epoch and value of the monitored metric at each evaluation so far.
    """

    step: float
    epoch: float
    fraction: float
    monitored: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Horizon:
    """What a schedule is told about the training it is for.

    Attributes:
        steps: optimizer steps of the plan as written.
        epochs: epochs of the plan as written.
        learning_rate: the optimizer's.
        mode: whether the monitored metric is better when larger (``max``) or smaller (``min``).
    """

    steps: float
    epochs: float
    learning_rate: float
    mode: str = "max"


def steps_until(fraction: float, steps: int) -> int:
    """Return after how many of so many steps a share of them is done: the first that reaches it."""
    # A share that was made of whole steps must come back as these, whatever the division lost.
    return math.ceil(fraction * steps * (1 - 1e-12))
