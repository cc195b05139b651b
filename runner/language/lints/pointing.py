"""Lints of pointing at objects one after another."""

from runner.language.lints.lint import Said, lint
from runner.language.lints.subject import Subject
from runner.registry import datasets, losses, samplers, tasks
from runner.statistics import RARELY_DONE


@lint(
    reason="what is farther off is pulled less, not more",
    cure="the loss huber_distance, whose pieces meet with the same slope",
)
def discontinuous_loss(subject: Subject) -> Said:
    """A loss that jumps at its threshold."""
    for found in subject.parts(losses, "distance_hinge"):
        t = found.params.threshold
        message = (
            f"at a distance of {t:g}{_in_pixels(subject, t)} the loss jumps from {t * t:.3g} to "
            f"{2 * t * t:.3g}, and its gradient falls from {2 * t:.3g} to {t:.3g}"
        )
        yield found.at("threshold"), message


def _in_pixels(subject: Subject, distance: float) -> str:
    """Return a distance, of which the canvas has two, in pixels of its width."""
    canvas = getattr(subject.recipe.data.params, "canvas", None)
    return f" ({distance * canvas[1] / 2:.1f} px)" if canvas else ""


@lint(
    reason="a network learns never to say so, and one weight for both answers changes nothing",
    cure="sampler.params.done_mode: balanced, done_share: 0.3",
    is_of_data=True,
)
def rarely_done(subject: Subject) -> Said:
    """Draws of which hardly any is done."""
    known = subject.statistics
    objects = known.figures.get("objects_per_image/mean") if known else None
    weights = [found.params.done_positive_weight for found in subject.parts(tasks, "pointing")]
    for found in subject.parts(samplers, "sequential_points"):
        if found.params.done_mode != "mixed" or not objects or not weights:
            continue
        share = weights[0] / (weights[0] + objects)
        if share < RARELY_DONE:
            said = f"of {objects:.0f} objects any number is marked, so "
            yield found.at("done_mode"), said + f"about {share:.1%} of the draws are done"


@lint(
    reason="there is no place to point at, and all points are drawn to that one",
    cure="point_when_done: masked",
)
def point_trained_when_done(subject: Subject) -> Said:
    """A place that is trained on where none is left."""
    for found in subject.parts(tasks, "pointing"):
        if found.params.point_when_done == "centre":
            yield found.at("point_when_done"), "where all is done the middle is the target"


@lint(
    reason="a value without effect misleads who reads it",
    cure="leave row_px out, or write order: rows",
)
def row_height_without_rows(subject: Subject) -> Said:
    """A height of rows where objects are not pointed at by row."""
    for found in subject.parts(datasets, "points"):
        key = found.at("row_px")
        # What a base writes for its own order, and for small images, is no child's to take back.
        if found.params.order != "rows" and subject.is_own(key):
            yield (
                key,
                f"{found.params.row_px:g} px, which order: {found.params.order} does not read",
            )
