"""What happens in a training, as frozen values that the loop yields and all else reads."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Level = Literal["good", "warning", "critical"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        step: optimizer steps done when it happened.
        epoch: epochs done, with the fraction of the running one.
        time_s: seconds since the run (not the process) started.
    """

    step: int
    epoch: float
    time_s: float = 0.0

    def record(self) -> dict[str, Any]:
        """Return what ``events.jsonl`` keeps of it, ``type`` first."""
        return {"type": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """A run began: how long it will be."""

    steps: int
    epochs: float
    steps_per_epoch: int
    effective_batch: int


@dataclass(frozen=True, kw_only=True)
class Stepped(Event):
    """Training went on; figures are means over the steps since the last such event.

    Attributes:
        values: ``train/loss``, ``train/loss/<term>``, ``train/lr``, ``train/grad_norm[/<group>]``.
        samples_per_s: samples trained on each second since the last such event.
        skipped: steps since the last such event that were not applied for non-finite gradients.
    """

    values: Mapping[str, float]
    samples_per_s: float = 0.0
    skipped: int = 0

    def record(self) -> dict[str, Any]:
        """Return the event without its throughput, which is the machine's and not the run's."""
        return {key: value for key, value in super().record().items() if key != "samples_per_s"}


@dataclass(frozen=True, kw_only=True)
class Evaluated(Event):
    """The validation split was looked at.

    Attributes:
        values: metric name (``val/miou``) to value.
        is_best: whether the monitored metric is the best so far.
        panels: pictures of the first samples, each (H, W, 3) uint8; not in ``events.jsonl``.
    """

    values: Mapping[str, float]
    is_best: bool = False
    panels: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    def record(self) -> dict[str, Any]:
        """Return the event without its pictures."""
        kept = {"step": self.step, "epoch": self.epoch, "time_s": self.time_s}
        return {"type": "evaluated", **kept, "values": dict(self.values), "is_best": self.is_best}


@dataclass(frozen=True, kw_only=True)
class Saved(Event):
    """A checkpoint is on disk, whole."""

    checkpoint: str


@dataclass(frozen=True, kw_only=True)
class Finding(Event):
    """A health rule has something to say.

    Attributes:
        rule: the rule's registered name.
        level: how bad it is.
        subject: what it is about, such as a class; empty for the whole run.
        message: one sentence with the figure and the threshold.
        value: the figure.
        threshold: what it was compared with.
        advice: what to change; empty where all is well.
        stops: whether the training ends here.
    """

    rule: str
    level: Level
    subject: str = ""
    message: str = ""
    value: float | None = None
    threshold: float | None = None
    advice: str = ""
    stops: bool = False


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """The training ended.

    Attributes:
        state: ``done``, or why not.
        reason: one sentence.
    """

    state: Literal["done", "stopped", "preempted"]
    reason: str = ""
