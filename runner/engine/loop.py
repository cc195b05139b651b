"""The training loop: a generator of events that knows no recipe and no concrete task."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from runner.contracts import History
from runner.counting import number_of
from runner.engine import checkpoint
from runner.engine.evaluation import evaluate
from runner.engine.history import (
    SKIPS_IN_A_ROW,
    Best,
    EarlyStopping,
    Monitor,
    is_better,
    mean_of_parts,
    mean_rows,
    without_improvement,
)
from runner.engine.state import Run, TrainedGroup, capture, restore, seed_everything
from runner.engine.stepping import Stepper
from runner.engine.together import errors_of_machine, fetched_together
from runner.events import Evaluated, Event, Finding, Finished, Saved, Started, Stepped
from runner.plan import Plan

__all__ = [
    "EarlyStopping", "Monitor", "Run", "TrainedGroup", "capture", "restore", "seed_everything",
    "train",
]  # fmt: skip

_IDS_SHOWN = 8

_NON_FINITE = "non_finite"

Ending = tuple[Literal["done", "stopped", "preempted"], str]
T = TypeVar("T")
Told = Generator[Event, None, T]


def train(run: Run, *, reyield_saved: bool = False) -> Iterator[Event]:
    """Train from where the run stands to the end of its plan, yielding what happens.

    Args:
        run: fresh, or put where a checkpoint was by ``restore``. Other processes than the main
            one yield nothing.
        reyield_saved: yield the ``Saved`` of the checkpoint that the run was restored from, for
            a process that was killed between writing it and writing that down.
    Raises: RecipeError: the monitored metric is not among the evaluated ones.
        DataError: an item cannot be read.
        MachineError: memory, disk or a loader's worker fails.
    """
    with errors_of_machine(run):
        for event in _Loop(run).events(reyield_saved):
            if run.processes.is_main:
                yield event


def beginning(plan: Plan) -> Started:
    """Return the first event of a run of this plan."""
    return Started(
        step=0,
        epoch=0.0,
        time_s=0.0,
        steps=plan.steps,
        epochs=plan.epochs,
        steps_per_epoch=plan.steps_per_epoch,
        effective_batch=plan.effective_batch,
    )


class _Loop:
    """A run under way in this process."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.stepper = Stepper(run)
        self.started_s = run.clock() - run.memory.elapsed_s
        self.samples = 0
        self.counted_from_s = run.clock()

    def now(self) -> dict[str, Any]:
        """Return what every event says of its time."""
        step = self.run.memory.step
        time_s = self.run.clock() - self.started_s
        return {"step": step, "epoch": self.run.plan.epoch(step), "time_s": time_s}

    def events(self, reyield_saved: bool) -> Iterator[Event]:
        """Yield all that happens, in every process."""
        run, plan, memory = self.run, self.run.plan, self.run.memory
        if memory.step == 0:
            yield beginning(plan)
        elif reyield_saved:
            yield Saved(**self.now(), checkpoint=checkpoint.checkpoint_name(memory.step))
        ending = self.planned_end()
        start = plan.group(memory.step).start
        batches = fetched_together(run, run.train_batches(start)) if ending is None else iter(())
        while ending is None:
            self.samples += self.stepper.step(batches)
            stepped_s = run.clock()
            is_preempted = run.processes.any(run.stop_requested())
            if is_preempted or plan.logs_at(memory.step) or self.saves_now():
                ending = yield from self.look_up(is_preempted, stepped_s)
                # Evaluations and checkpoints take time that is not the training's.
                self.counted_from_s += run.clock() - stepped_s
        yield Finished(**self.now(), state=ending[0], reason=ending[1])

    def look_up(self, is_preempted: bool, stepped_s: float) -> Told[Ending | None]:
        """Log, evaluate and save as is due at this step; return how the training ends, if so."""
        run, plan, step = self.run, self.run.plan, self.run.memory.step
        stopping = None
        if plan.logs_at(step):
            stopping = yield from self.log(stepped_s)
        if plan.evaluates_at(step) and run.val_batches is not None and stopping is None:
            stopping = yield from self.evaluate()
        if stopping is not None:
            ending: Ending | None = ("stopped", stopping.message)
        else:
            ending = self.planned_end()
            if ending is None and is_preempted:
                ending = ("preempted", f"asked to stop after step {step}; resume continues")
        # After steps that were not finite, the last good checkpoint is the one to keep.
        is_lost = stopping is not None and stopping.rule == _NON_FINITE
        if run.checkpoints is not None and not is_lost and (ending or self.saves_now()):
            spoilt = yield from self.save(run.checkpoints)
            ending = ("stopped", spoilt.message) if spoilt else ending
        return ending

    def planned_end(self) -> Ending | None:
        """Return why the training is complete, where it is."""
        run, memory = self.run, self.run.memory
        if memory.step >= run.plan.steps:
            told = f"all {run.plan.steps} steps" if run.plan.steps > 1 else "the only step"
            return "done", f"{told} of the plan {'are' if run.plan.steps > 1 else 'is'} done"
        rule = run.early_stopping
        values = [value for _, value in memory.monitored]
        if rule is None or not values:
            return None
        since = without_improvement(values, run.monitor.mode, rule.min_delta)
        if since < rule.patience:
            return None
        steps = memory.step - memory.evaluated[-1 - since].step if since < len(values) else 0
        reason = f"{run.monitor.metric} has not improved for {number_of(since, 'evaluations')}"
        return "done", f"{reason} ({number_of(steps or memory.step, 'steps')}): early stopping"

    def saves_now(self) -> bool:
        """Return whether the plan wants a checkpoint at this step."""
        every, step = self.run.save_every_steps, self.run.memory.step
        return self.run.plan.evaluates_at(step) or (every is not None and step % every == 0)

    def log(self, stepped_s: float) -> Told[Finding | None]:
        """Tell the figures of the steps since the last time, and what is wrong with them."""
        memory = self.run.memory
        self.stepper.read()
        seconds = max(stepped_s - self.counted_from_s, 1e-9)
        event = Stepped(
            **self.now(),
            values=self.figures(),
            samples_per_s=self.samples / seconds,
            skipped=sum(int(row["skipped"]) for row in memory.window),
        )
        self.samples, self.counted_from_s = 0, stepped_s
        lost = self.lost_steps(len(memory.window))
        memory.stepped.append(event)
        memory.window.clear()
        memory.lost_batches.clear()
        yield event
        if lost is not None:
            memory.findings.append(lost)
            yield lost
            if lost.stops:
                return lost
        return (yield from self.ask_health())

    def figures(self) -> dict[str, float]:
        """Return the window's means over all processes, with the learning rates of now."""
        run = self.run
        parts = run.processes.gather(mean_rows(run.memory.window))
        means = {f"train/{name}": value for name, value in mean_of_parts(parts).items()}
        rates = self.stepper.learning_rates()
        means["train/lr"] = next(iter(rates.values()))
        if len(rates) > 1:
            means |= {f"train/lr/{name}": rate for name, rate in rates.items()}
        return means

    def lost_steps(self, steps: int) -> Finding | None:
        """Return what to say of the steps that were not finite and so not applied."""
        memory = self.run.memory
        lost = memory.lost_batches
        if not lost:
            return None
        in_a_row, most = memory.skipped_in_a_row, min(SKIPS_IN_A_ROW, self.run.plan.steps)
        streak = f", {in_a_row} in a row by now" if in_a_row > 1 else ""
        ids = [name for batch in lost for name in batch]
        more = f" and {len(ids) - _IDS_SHOWN} more" if len(ids) > _IDS_SHOWN else ""
        return Finding(
            **self.now(),
            rule=_NON_FINITE,
            level="critical",
            message=f"loss or gradients were not finite in {len(lost)} of {steps} steps{streak}, "
            f"which were not applied; samples {', '.join(ids[:_IDS_SHOWN])}{more}",
            value=float(len(lost)),
            threshold=float(most),
            advice="look at these samples, lower the learning rate, or clip gradients",
            stops=in_a_row >= most,
        )

    def evaluate(self) -> Told[Finding | None]:
        """Tell the figures of the validation split, and what is wrong with them."""
        run, memory, monitor = self.run, self.run.memory, self.run.monitor
        values, panels = evaluate(run)
        value = values.get(monitor.metric, math.nan)
        is_best = is_better(value, memory.best.value if memory.best else None, monitor.mode)
        if is_best:
            memory.best = Best(monitor.metric, value, memory.step)
        memory.monitored += ((run.plan.progress(memory.step).epoch, value),)
        event = Evaluated(**self.now(), values=values, is_best=is_best, panels=panels)
        memory.evaluated.append(replace(event, panels=()))
        yield event
        return (yield from self.ask_health())

    def ask_health(self) -> Told[Finding | None]:
        """Tell what the rules say anew; return the first finding that stops the training."""
        run, memory = self.run, self.run.memory
        history = History(
            progress=run.plan.progress(memory.step, memory.monitored),
            stepped=memory.stepped,
            evaluated=memory.evaluated,
            monitor=run.monitor.metric,
            mode=run.monitor.mode,
            classes=run.task.spec.classes,
        )
        said = [finding for rule in run.health for finding in rule(history)]
        stopping = None
        # The main process decides: a rule that looks at the throughput differs between them.
        for finding in run.processes.gather(said)[0]:
            if memory.level(finding.rule, finding.subject) == finding.level:
                continue
            finding = replace(finding, **self.now())
            memory.findings.append(finding)
            yield finding
            if finding.stops and stopping is None:
                stopping = finding
        return stopping

    def save(self, folder: Path) -> Told[Finding | None]:
        """Write a checkpoint, unless the weights are spoilt; return the finding that says so."""
        run, memory = self.run, self.run.memory
        self.stepper.read()
        if not self.stepper.weights_are_finite():
            spoilt = Finding(
                **self.now(),
                rule=_NON_FINITE,
                level="critical",
                message="weights are not finite; the checkpoint before is kept",
                advice="lower the learning rate or clip gradients, then resume",
                stops=True,
            )
            memory.findings.append(spoilt)
            yield spoilt
            return spoilt
        memory.elapsed_s = run.clock() - self.started_s
        state = capture(run)
        name = checkpoint.checkpoint_name(memory.step)
        is_best = memory.best is not None and memory.best.step == memory.step
        with run.processes.agreeing():
            if run.processes.is_main:
                checkpoint.save(folder, state, memory.step, is_best=is_best)
        yield Saved(**self.now(), checkpoint=name)
        return None
