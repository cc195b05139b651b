"""Lints of what a recipe changes in its base."""

from runner.language.differences import HARDLY, differences
from runner.language.lints.lint import Said, lint
from runner.language.lints.subject import Subject
from runner.language.recipe import Recipe


def _base(subject: Subject) -> Recipe | None:
    """Return the base of a recipe at full scale; a sample shrinks all versions alike."""
    return subject.base if subject.recipe.scale == "full" else None


@lint(
    reason="the noise of the gradient hardly changes",
    cure="leave it, or double it at least",
)
def negligible_batch_change(subject: Subject) -> Said:
    """An effective batch that differs from the base's, but hardly."""
    if (base := _base(subject)) is None:
        return
    before, after = _effective(base), _effective(subject.recipe)
    if before != after and abs(after / before - 1) < HARDLY:
        message = f"the effective batch goes from {before} to {after} ({after / before - 1:+.0%})"
        yield ("train", "batch_size"), message


def _effective(recipe: Recipe) -> int:
    return recipe.train.batch_size * recipe.train.accumulate


@lint(
    reason="losses of other terms or weights do not compare, so a lower one shows nothing",
    cure="monitor a metric, such as val/miou, that means the same in both",
)
def incomparable_monitor(subject: Subject) -> Said:
    """A version with another loss than its base that is judged by it."""
    monitor = subject.recipe.monitor
    base = _base(subject)
    if base is None or not monitor.metric.startswith("val/loss"):
        return
    changed = [
        str(each)
        for each in differences(base, subject.recipe)
        if each.key[0] == "task" and ("loss" in each.key or "weight" in str(each.key[-1]))
    ]
    if changed:
        more = f" and {len(changed) - 1} more differ" if len(changed) > 1 else " differs"
        message = f"{monitor.metric} is of another loss than in the base: {changed[0]}{more}"
        yield ("monitor", "metric"), message
