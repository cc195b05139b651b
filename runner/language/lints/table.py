"""All lints, and what they say of a recipe."""

from collections.abc import Sequence

from runner.errors import Problem
from runner.language.document import dotted
from runner.language.lints import (
    classes,
    data,
    detection,
    lineage,
    pointing,
    schedules,
    self_training,
)
from runner.language.lints.lint import Concern, Lint
from runner.language.lints.subject import Subject
from runner.language.load import Loaded
from runner.registry import suggestion
from runner.statistics import Statistics

LINTS: dict[str, Lint] = {
    each.name: each
    for each in (
        classes.unhandled_imbalance,
        classes.inverted_class_weights,
        classes.overshot_class_weights,
        classes.extreme_class_weights,
        classes.double_correction,
        classes.constant_alpha,
        data.merged_ignore,
        data.validation_at_another_scale,
        data.crops_of_whole_images,
        data.batchnorm_of_a_tiny_batch,
        schedules.long_warmup,
        schedules.schedule_of_another_length,
        schedules.endless_patience,
        schedules.patience_within_a_restart,
        schedules.stopped_before_the_rate_falls,
        lineage.negligible_batch_change,
        lineage.incomparable_monitor,
        detection.score_threshold_for_map,
        detection.no_negatives,
        detection.no_suppression,
        detection.hard_clamp,
        detection.biased_centre,
        pointing.discontinuous_loss,
        pointing.rarely_done,
        pointing.point_trained_when_done,
        pointing.row_height_without_rows,
        self_training.zero_threshold,
        self_training.own_labels_of_the_same_view,
        self_training.never_self_trained,
        self_training.labelled_share_left_to_chance,
        self_training.allowed_leak,
    )
}


def concerns(loaded: Loaded, statistics: Statistics | None) -> list[Concern]:
    """Return what all lints say of a recipe, those that it allows too.

    Args:
        loaded: the recipe.
        statistics: what was measured of its data; without it, lints of data are silent.
    """
    subject = Subject(loaded, statistics)
    return [
        Concern(
            loaded.name, each.name, str(loaded.source.place(key)), dotted(key), message,
            each.reason, each.cure, loaded.recipe.allow.get(each.name, ""),
        )
        for each in LINTS.values()
        for key, message in each.check(subject)
    ]  # fmt: skip


def unknown_allowed(loaded: Loaded) -> list[Problem]:
    """Return what a recipe allows that no lint is called."""
    return [
        loaded.source.problem(
            ("allow", name), f"no lint is called {name!r}; {suggestion(name, LINTS)}"
        )
        for name in loaded.recipe.allow
        if name not in LINTS
    ]


def needlessly_allowed(
    loaded: Loaded, said: Sequence[Concern], *, is_measured: bool
) -> list[Problem]:
    """Return what a recipe allows that no lint complains of, or without a reason.

    Args:
        loaded: the recipe, as written.
        said: what the lints say of it.
        is_measured: whether there were figures of its data.
    """
    names = {each.lint for each in said}
    problems = []
    for name, why in loaded.recipe.allow.items():
        is_judged = name in LINTS and (is_measured or not LINTS[name].is_of_data)
        if is_judged and name not in names:
            message = "the recipe gives this lint nothing to say; remove the line"
            problems.append(loaded.source.problem(("allow", name), message))
        elif not why.strip():
            problems.append(loaded.source.problem(("allow", name), "say why it is meant"))
    return problems
