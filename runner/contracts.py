"""The values and callables that rooms of the house hand to each other; read this file first.

A recipe's part is built by a factory. What the factory is given before its ``/`` comes from the
runner, what it takes after its ``*`` comes from the recipe; what it returns is one of the
contracts below:

    datasets     (DataContext)        -> Data          splits of samples, and the DataSpec
    transforms   ()                   -> Transform     an augmentation of one sample
    samplers     (Split, batch_size)  -> Sampler       which samples an epoch draws
    models       (DataSpec)           -> nn.Module     (B, C, *spatial) -> what its task expects;
                                                       a head is given the backbone, too
    losses       (DataSpec)           -> Loss          weighted scalar terms
    tasks        (DataSpec)           -> Task          runner/task.py
    optimizers   (named parameters)   -> Optimizer
    schedules    (Horizon)            -> Schedule      factor of the learning rate
    metrics      (DataSpec)           -> Metric        built anew for each evaluation
    health       ()                   -> HealthRule    history -> findings

What travels from a dataset to a task (Draw, Sample, Batch) stands in ``runner/samples.py``.
Torch is not imported here: ``runner validate`` reads this module too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runner.progress import Horizon, Progress
from runner.samples import IGNORE, Batch, Choose, Cut, Draw, Drawn, Ragged, Sample

__all__ = [
    "IGNORE", "Batch", "Choose", "Cut", "Data", "DataContext", "DataSpec", "Draw", "Drawn",
    "HealthRule", "History", "Horizon", "Loss", "Measured", "Metric", "Progress", "Ragged",
    "Sample", "Sampler", "Schedule", "Split", "Transform",
]  # fmt: skip

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from runner.events import Evaluated, Finding, Stepped
    from runner.surveys import Inventory


class Split(Protocol):
    """Part of a data set: items that can be drawn in any order, from any worker process.

    Validation items may be tiles of an image. A training split that also has ``sizes_px`` is asked
    for one of these sizes in all draws of a batch (``Draw.size_px``), drawn anew for each batch.
    """

    @property
    def spec(self) -> DataSpec:
        """The data set's."""
        ...

    @property
    def ids(self) -> Sequence[str]:
        """Names of the items."""
        ...

    @property
    def is_labelled(self) -> Sequence[bool]:
        """Whether each item's target may be trained on."""
        ...

    def __len__(self) -> int:
        """Items in the split."""
        ...

    def load(self, draw: Draw, generator: np.random.Generator) -> Sample:
        """Return one sample.

        Args:
            draw: which, and how to cut it.
            generator: this draw's own; nothing else may be random.
        Raises: DataError: the item cannot be read; the file is named.
        """
        ...


@dataclass(frozen=True)
class Measured:
    """Figures that are measured on the training split once and then belong to the run.

    A resumed run is given the recorded values, so that data which changed meanwhile do not
    change its loss.

    Attributes:
        values: name to figures; ``class_pixels`` has one for each class.
        measure: name to the function that measures it.
    """

    measure: Mapping[str, Callable[[], Sequence[float]]] = field(default_factory=dict)
    values: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> tuple[float, ...]:
        if name not in self.values:
            self.values[name] = tuple(float(value) for value in self.measure[name]())
        return self.values[name]


@dataclass(frozen=True)
class DataSpec:
    """What a data set tells the parts built after it.

    Attributes:
        classes: their names, in the order of their indices.
        channels: of the image.
        dimensions: 2 for images, 3 for volumes.
        ragged: names of the targets whose length differs from sample to sample.
        measured: figures of the training split, such as ``class_pixels``.
    """

    classes: tuple[str, ...]
    channels: int = 3
    dimensions: int = 2
    ragged: frozenset[str] = frozenset()
    measured: Measured = field(default_factory=Measured)


@dataclass(frozen=True)
class Data:
    """A data set, read and split.

    Attributes:
        spec: what it tells the other parts.
        splits: ``train`` and ``val``, and ``test`` where there is one.
        fingerprint: changes when a file of it does.
        inventory: its items, for ``runner analyze``; None where the data set does not list them.
    """

    spec: DataSpec
    splits: Mapping[str, Split]
    fingerprint: str
    inventory: Inventory | None = None


@dataclass(frozen=True)
class DataContext:
    """What the machine gives a dataset.

    Attributes:
        locate: turns the recipe's ``root`` (a folder, a name of the machine profile, or
            ``sample:uav``) into a folder that exists.
        cache: folder for what is derived from the data; may be deleted at any time.
        seed: of the run; splits have a seed of their own.
    """

    locate: Callable[[str], Path]
    cache: Path
    seed: int = 0


class Transform(Protocol):
    """An augmentation. Geometry changes image and target alike."""

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Return the changed sample; all that is random comes from the draw's generator."""
        ...


class Sampler(Protocol):
    """Which samples an epoch draws: a pure function of the seed and the epoch."""

    def __len__(self) -> int:
        """Draws in an epoch."""
        ...

    def epoch(self, epoch: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """Yield ``len(self)`` tuples of item index, cut and, where objects are marked, choice.

        Args:
            epoch: counted from 0.
            generator: this epoch's own, seeded by (seed, epoch).
        """
        ...


# ------------------------------------------------------------------------ training


class Schedule(Protocol):
    """The factor of the learning rate at a progress: a pure function."""

    def __call__(self, progress: Progress) -> float:
        """Return what the initial learning rate is multiplied by."""
        ...


class Loss(Protocol):
    """What a task calls with its predictions and targets; a function or an ``nn.Module``.

    A segmentation loss takes logits (B, K, *spatial) and mask (B, *spatial) int64 with 255 ignored.
    Returns one scalar, or named scalars that are summed: each is shown as ``train/loss/<name>``.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor | Mapping[str, Tensor]:
        """Return a scalar, or named scalars."""
        ...


class Metric(Protocol):
    """A figure of one evaluation.

    A metric that also has ``names``, a sequence of all that ``compute`` may return, lets a
    misspelt ``monitor.metric`` be found before the training instead of at its first evaluation;
    a factory that is declared to (``metrics.foretells``) lets ``runner validate`` find it.

    One that also has ``why_absent(name, states)`` says why ``compute`` did not return a figure:
    what the validation split lacks for it, an empty text where another evaluation may give it,
    None of a figure that it never gives; and of an empty name, why there is no figure at all.
    """

    def update(self, outputs: Any, batch: Batch) -> None:
        """Count a batch; ``outputs`` are the task's ``Outputs``. Must not wait for the device."""
        ...

    def state(self) -> Any:
        """Return what has been counted, on the CPU and picklable."""
        ...

    def compute(self, states: Sequence[Any]) -> dict[str, float]:
        """Return names without ``val/`` (``iou/background``) and values.

        Args:
            states: of each process, in order of rank; of this one alone where there is one.
        """
        ...


@dataclass(frozen=True)
class History:
    """What a health rule may look at.

    Attributes:
        progress: now.
        stepped, evaluated: all such events so far, oldest first.
        mode: ``max`` or ``min``, of the monitored metric.
        monitor: its name.
        classes: of the data.
    """

    progress: Progress
    stepped: Sequence[Stepped]
    evaluated: Sequence[Evaluated]
    monitor: str
    mode: str
    classes: tuple[str, ...]


class HealthRule(Protocol):
    """Called after each logging step and each evaluation with all that happened so far."""

    def __call__(self, history: History) -> Sequence[Finding]:
        """Return what there is to say now.

        The loop passes on a finding only when its level differs from what the rule last said of
        the same subject, so a rule need not remember.
        """
        ...
