"""How many steps a training takes, which batches each step descends, when it looks up."""

from __future__ import annotations

from dataclasses import dataclass

from runner.errors import Problem, RecipeError
from runner.progress import Progress


@dataclass(frozen=True)
class Plan:
    """The course of a training, in optimizer steps.

    A plan is *compressed* when it takes fewer steps than the recipe writes; what is written in
    steps or epochs (horizons, evaluations) then keeps its share of the training.

    Attributes:
        steps: optimizer steps in all.
        draws_per_epoch: samples that the sampler draws in an epoch.
        batch_size: samples of one forward pass, over all processes.
        batches_per_epoch: forward passes of an epoch.
        accumulate: forward passes of one step; an epoch's last step may have fewer.
        written_steps: optimizer steps as the recipe writes them.
        evaluate_every_steps: between evaluations, in written steps.
        log_every: steps between logging steps.
    """

    steps: int
    draws_per_epoch: int
    batch_size: int
    batches_per_epoch: int
    accumulate: int
    written_steps: int
    evaluate_every_steps: int
    log_every: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one pass over the draws of an epoch."""
        return -(-self.batches_per_epoch // self.accumulate)

    @property
    def epochs(self) -> float:
        """Passes over the draws of an epoch, in all."""
        return self.steps / self.steps_per_epoch

    @property
    def written_epochs(self) -> float:
        """Epochs as the recipe writes them."""
        return self.written_steps / self.steps_per_epoch

    @property
    def effective_batch(self) -> int:
        """Samples of the first optimizer step of an epoch; only the last may have fewer."""
        return sum(self.samples(batch) for batch in self.group(0))

    @property
    def evaluations(self) -> int:
        """Evaluations in all, that of the end included."""
        whole = self.written_steps // self.evaluate_every_steps
        last = -(-whole * self.evaluate_every_steps * self.steps // self.written_steps)
        return min(self.steps, whole + (last < self.steps))

    def epoch(self, step: int) -> float:
        """Return the passes over the data done after so many steps."""
        return step / self.steps_per_epoch

    def progress(self, step: float, monitored: tuple[tuple[float, float], ...] = ()) -> Progress:
        """Return how far the training is after so many steps, in the terms of the written plan."""
        written = step * self.written_steps / self.steps
        return Progress(written, written / self.steps_per_epoch, step / self.steps, monitored)

    def group(self, step: int) -> range:
        """Return the numbers of the batches, counted through the run, of the next step."""
        epoch, position = divmod(step, self.steps_per_epoch)
        start = epoch * self.batches_per_epoch + position * self.accumulate
        return range(start, min(start + self.accumulate, (epoch + 1) * self.batches_per_epoch))

    def samples(self, batch: int) -> int:
        """Return how many samples a batch holds; an epoch's last may hold fewer."""
        start = batch % self.batches_per_epoch * self.batch_size
        return min(self.batch_size, self.draws_per_epoch - start)

    def evaluates_at(self, step: int) -> bool:
        """Return whether an evaluation follows once so many steps are done."""
        if step == self.steps:
            return True
        every = self.evaluate_every_steps * self.steps
        return step * self.written_steps // every > (step - 1) * self.written_steps // every

    def logs_at(self, step: int) -> bool:
        """Return whether training figures are due; each evaluation has them beside it."""
        return step % self.log_every == 0 or self.evaluates_at(step)


def make_plan(
    *,
    draws_per_epoch: int,
    batch_size: int,
    accumulate: int = 1,
    drop_last: bool = False,
    epochs: int | None = None,
    steps: int | None = None,
    compress_to_steps: int | None = None,
    evaluate_every_epochs: int | None = None,
    evaluate_every_steps: int | None = None,
    log_every: int = 50,
    processes: int = 1,
) -> Plan:
    """Return the plan that a recipe's ``train`` block means for a sampler of this length.

    Args:
        draws_per_epoch: length of the sampler.
        batch_size: samples of one forward pass, over all processes.
        accumulate: forward passes of one optimizer step.
        drop_last: whether an epoch's last batch is left out where it is not full.
        epochs: length of the training; or give ``steps``.
        steps: length of the training in optimizer steps; or give ``epochs``.
        compress_to_steps: go through the whole plan in at most so many steps.
        evaluate_every_epochs: of the plan as written; or give ``evaluate_every_steps``.
        evaluate_every_steps: of the plan as written; one epoch where neither is given.
        log_every: steps between logging steps.
        processes: that train together and share each batch.
    Raises: RecipeError: the values exclude each other, an epoch holds no batch, or a batch
        cannot be shared out evenly.
    """
    problems = _either("train", epochs=epochs, steps=steps)
    if evaluate_every_epochs and evaluate_every_steps:
        problems += _either(
            "train.evaluate_every", epochs=evaluate_every_epochs, steps=evaluate_every_steps
        )
    batches = draws_per_epoch // batch_size if drop_last else -(-draws_per_epoch // batch_size)
    if batches == 0:
        cure = (
            f"an epoch holds no full batch: {draws_per_epoch} draws, batches of {batch_size}; "
            "lower batch_size, set drop_last: false, or let the sampler draw more"
        )
        problems.append(Problem("", "train.batch_size", cure))
    if batch_size % processes:
        cure = _shareable(batch_size, accumulate, processes)
        message = f"{batch_size} is no multiple of the {processes} processes; {cure}"
        problems.append(Problem("", "train.batch_size", message))
    if problems:
        raise RecipeError(problems)

    steps_per_epoch = -(-batches // accumulate)
    written_steps = steps if steps is not None else (epochs or 0) * steps_per_epoch
    return Plan(
        steps=min(written_steps, compress_to_steps or written_steps),
        draws_per_epoch=draws_per_epoch,
        batch_size=batch_size,
        batches_per_epoch=batches,
        accumulate=accumulate,
        written_steps=written_steps,
        evaluate_every_steps=evaluate_every_steps or (evaluate_every_epochs or 1) * steps_per_epoch,
        log_every=log_every,
    )


def _either(place: str, *, epochs: int | None, steps: int | None) -> list[Problem]:
    if (epochs is None) != (steps is None):
        return []
    wrong = "are both set; remove one" if steps is not None else "are both missing; set one"
    return [Problem("", place, f"epochs and steps {wrong}")]


def _shareable(batch_size: int, accumulate: int, processes: int) -> str:
    """Return what keeps the effective batch over so many processes, nearest batch size first."""
    effective = batch_size * accumulate
    sizes = [n for n in range(processes, effective + 1, processes) if effective % n == 0]
    if sizes:
        size = min(sizes, key=lambda n: abs(n - batch_size))
        return f"batch_size: {size} with accumulate: {effective // size} keeps the effective batch"
    counts = [str(n) for n in range(1, processes) if batch_size % n == 0]
    return f"the effective batch of {effective} can be kept with {' or '.join(counts)} processes"
