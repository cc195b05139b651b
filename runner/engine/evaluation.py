"""One look at the validation split: its loss, its metrics, a few pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import reduce
from numbers import Real
from operator import add
from typing import Any

import torch
from torch import Tensor

from runner.contracts import Batch, Metric
from runner.engine.precision import autocast
from runner.engine.state import Run
from runner.engine.stepping import moved
from runner.engine.together import together
from runner.errors import DataError, Problem, RecipeError


def evaluate(run: Run) -> tuple[dict[str, float], tuple[Any, ...]]:
    """Return metric names with ``val/`` and values, and the first pictures.

    Every process must call it; each looks at its share and all return the same values.

    The monitored figure may be missing where another evaluation may give it.

    Raises: RecipeError: two metrics share a name, or none gives the monitored figure.
        DataError: there is nothing to look at, or nothing that the monitored figure is of.
    """
    assert run.val_batches is not None, "a run without validation batches is never evaluated"
    metrics = run.metrics()
    sizes: list[int] = []
    losses: list[Tensor] = []
    panels: list[Any] = []
    progress = run.plan.progress(run.memory.step, run.memory.monitored)
    with torch.no_grad(), _evaluated_weights(run), together(run):
        for batch in run.val_batches:
            batch = moved(batch, run)
            with autocast(run.precision, run.device):
                terms, outputs = run.task.assess(batch, progress)
            sizes.append(len(batch))
            losses.append(reduce(add, terms.values()).float())
            for metric in metrics:
                metric.update(outputs, batch)
            if run.processes.is_main and len(panels) < run.panels:
                panels += _panels(run, batch, outputs)
    return _reduced(run, metrics, sizes, losses), tuple(panels[: run.panels])


def _panels(run: Run, batch: Batch, outputs: Any) -> Sequence[Any]:
    return run.task.panels(batch, outputs)


@contextmanager
def _evaluated_weights(run: Run) -> Iterator[None]:
    """Put the task into evaluation mode, with its averaged weights where the recipe says so.

    BatchNorm's statistics are those of the main process, which a checkpoint keeps too: since the
    last forward pass began each process has gathered its own.
    """
    averaged = run.ema.in_place_of_weights() if run.ema and run.ema.evaluate else nullcontext()
    was_training = run.task.training
    with averaged:
        run.processes.follow_main(b for b in run.task.buffers() if b.is_floating_point())
        run.task.eval()
        try:
            yield
        finally:
            run.task.train(was_training)


def _reduced(
    run: Run, metrics: Sequence[Metric], sizes: list[int], losses: list[Tensor]
) -> dict[str, float]:
    """Return the figures of all processes together."""
    means = torch.stack(losses).tolist() if losses else []
    weighted = sum(mean * size for mean, size in zip(means, sizes, strict=True))
    parts = run.processes.gather((weighted, sum(sizes), [metric.state() for metric in metrics]))
    samples = sum(part[1] for part in parts)
    if samples == 0:
        raise DataError(Problem("", "data.params", "the validation split is empty; give it items"))
    values = {"val/loss": sum(part[0] for part in parts) / samples}
    states = [[part[2][position] for part in parts] for position in range(len(metrics))]
    for position, metric in enumerate(metrics):
        found = _figures(metric.compute(states[position]), position)
        if not found and (why := _why_absent(metric, "", states[position])):
            message = f"measures nothing: {why}; split the data anew, or correct its labels"
            raise DataError(Problem("", f"metrics.{position}", message))
        for name, value in found.items():
            if f"val/{name}" in values:
                message = f"two metrics are called val/{name}; remove one"
                raise RecipeError(Problem("", "metrics", message))
            values[f"val/{name}"] = value
    if run.monitor.metric not in values:
        _refuse_absent(run.monitor.metric, values, metrics, states)
    return values


def _figures(found: Any, position: int) -> Mapping[str, float]:
    """Return what a metric computed; one of a user's own may return anything.

    Raises: RecipeError: it is no mapping from names to numbers.
    """
    if isinstance(found, Mapping) and all(
        isinstance(name, str) and isinstance(value, Real) for name, value in found.items()
    ):
        return found
    message = f"computed {found!r}; return figures by name, such as {{'miou': 0.5}}"
    raise RecipeError(Problem("", f"metrics.{position}", message))


def _refuse_absent(
    monitored: str,
    values: Mapping[str, float],
    metrics: Sequence[Metric],
    states: Sequence[Sequence[Any]],
) -> None:
    """Say why the monitored figure does not exist, unless another evaluation may give it.

    Raises: DataError: the split lacks what it is of. RecipeError: no metric gives it.
    """
    known = ", ".join(values)
    for metric, own in zip(metrics, states, strict=True):
        why = _why_absent(metric, monitored.removeprefix("val/"), own)
        if why:
            message = f"{monitored} does not exist: {why}; split the data anew, or monitor another"
            raise DataError(Problem("", "monitor.metric", f"{message} ({known})"))
        if why is not None:
            return
    message = f"no metric is called {monitored!r}; name one of {known}"
    raise RecipeError(Problem("", "monitor.metric", message))


def _why_absent(metric: Metric, name: str, states: Sequence[Any]) -> str | None:
    ask = getattr(metric, "why_absent", None)
    return ask(name, states) if ask is not None else None
