"""Lints of classes that are rare, and of the weights that they are given."""

from collections.abc import Iterator, Mapping

from runner.language.class_weights import trained_counts
from runner.language.document import Key
from runner.language.lints.lint import Said, lint
from runner.language.lints.subject import Placed, Subject
from runner.language.plugins import is_own
from runner.language.sought import is_sought
from runner.registry import losses
from runner.statistics import IMBALANCED, SEVERE, shares

_OF_MASKS = ("pixels", "voxels")
"""What classes are counted in where a loss can weigh them."""

_AGAINST = 2.0
"""Share of the commonest class over a rarer one's from which weights have a direction."""

_OVERSHOT = 1.5
"""How much more than the commonest a rarer class may count in all."""


def _counts(subject: Subject) -> dict[str, float]:
    """Return the units of each class that occurs; none where nothing was measured of masks."""
    known = subject.statistics
    if known is None or known.unit not in _OF_MASKS:
        return {}
    counts = trained_counts(subject.recipe, known)
    return {name: count for name, count in counts.items() if count}


def _weights(subject: Subject) -> Iterator[tuple[Key, str, dict[str, float]]]:
    """Yield key, name and class weights above 0 of each loss that has some."""
    for table in subject.weight_tables:
        given = {row.name: row.weight for row in table.rows if row.weight}
        if given:
            yield tuple(table.key.split(".")), table.loss, given


def _shares(counts: Mapping[str, float], rare: str, common: str, subject: Subject) -> str:
    of = shares(dict(counts))
    unit = subject.statistics.unit if subject.statistics else ""
    return f"{rare} has {of[rare]:.2%} of the {unit}, {common} {of[common]:.1%}"


@lint(
    reason="the network learns never to predict it",
    cure="the loss balanced_focal with alpha: from_data and max_alpha: 10, or rare_class_crops",
    is_of_data=True,
)
def unhandled_imbalance(subject: Subject) -> Said:
    """A class more than ten times rarer than another, and nothing that makes up for it."""
    counts = _counts(subject)
    used = subject.parts(losses)
    if len(counts) < 2 or any(is_own(each.part.factory) for each in used):
        return  # an own loss may well balance its classes
    rare, common = (pick(counts, key=counts.__getitem__) for pick in (min, max))
    ratio = counts[common] / counts[rare]
    weighted = [
        ratio * given[common] / given[rare]
        for _, _, given in _weights(subject)
        if rare in given and common in given
    ]
    least = min(weighted, default=ratio)
    is_open = ratio > IMBALANCED and least > IMBALANCED
    if is_open and not is_sought(subject.recipe, list(counts), rare):
        made = f", which the loss makes {least:.0f}:1" if weighted else ""
        message = f"{_shares(counts, rare, common, subject)}: {ratio:.0f}:1{made}"
        yield used[0].key, message


@lint(
    reason="they add to the imbalance",
    cure="from_data, or total / (number of classes x count)",
    is_of_data=True,
)
def inverted_class_weights(subject: Subject) -> Said:
    """A rare class that weighs less than the commonest."""
    for key, loss, given, rare, common, counts in _compared(subject):
        # Of a focal loss an alpha of 0.25 is meant to go against the rare foreground (Lin 2017).
        if loss == "binary_focal" or counts[common] <= _AGAINST * counts[rare]:
            continue
        if given[rare] < given[common]:
            said = _shares(counts, rare, common, subject)
            yield key, f"{said}, but their weights are {given[rare]:g} and {given[common]:g}"


@lint(
    reason="they do not balance the classes, they turn the imbalance round",
    cure="from_data, or total / (number of classes x count)",
    is_of_data=True,
)
def overshot_class_weights(subject: Subject) -> Said:
    """Weights by which the rarest class counts more, in all, than the commonest."""
    for key, _, given, rare, common, counts in _compared(subject):
        weight, ratio = given[rare] / given[common], counts[common] / counts[rare]
        if weight > _OVERSHOT * ratio:
            said = _shares(counts, rare, common, subject)
            message = f"{said}; the first weighs {weight:.2g} times the second, where "
            yield key, message + f"{ratio:.2g} times would balance them"


def _compared(
    subject: Subject,
) -> Iterator[tuple[Key, str, dict[str, float], str, str, dict[str, float]]]:
    """Yield the weights of each loss with the rarest and the commonest class that have one."""
    counts = _counts(subject)
    for key, loss, given in _weights(subject):
        both = [name for name in counts if name in given]
        if len(both) > 1:
            rare, common = (pick(both, key=counts.__getitem__) for pick in (min, max))
            yield key, loss, given, rare, common, counts


@lint(
    reason="its recall rises while its IoU falls: it is seen everywhere",
    cure="max_alpha: 10",
)
def extreme_class_weights(subject: Subject) -> Said:
    """Weights of which one is more than a hundred times another."""
    for key, _, given in _weights(subject):
        rare, common = (pick(given, key=given.__getitem__) for pick in (max, min))
        if given[rare] > SEVERE * given[common]:
            odds = given[common] / given[rare]
            yield key, f"{rare} wins where it is {odds:.2g} times as likely as {common}"


@lint(
    reason="each was made to balance the classes alone",
    cure="keep one: alpha: 0.5, or both class weights 1",
)
def double_correction(subject: Subject) -> Said:
    """Class weights and a focal alpha that push the same class."""
    for found in subject.parts(losses, "binary_focal"):
        by_alpha, by_weights = _of_background(found)
        is_same_way = (by_alpha > 1) == (by_weights > 1) and 1 not in (by_alpha, by_weights)
        if found.params.alpha_mode == "balanced" and is_same_way:
            yield (
                found.at("alpha"),
                (
                    f"alpha weighs the background {by_alpha:.2g} times the foreground, the class "
                    f"weights {by_weights:.2g} times: together {by_alpha * by_weights:.2g}"
                ),
            )


@lint(
    reason="it only scales the loss, and favours no class",
    cure="alpha_mode: balanced, or a weight of the term",
)
def constant_alpha(subject: Subject) -> Said:
    """A focal alpha that is the same for both classes."""
    for found in subject.parts(losses, "binary_focal"):
        if found.params.alpha_mode == "constant":
            by_alpha, by_weights = _of_background(found)
            together = by_alpha * by_weights
            beside = f"; balanced, beside the class weights, it would weigh {together:.2g} to 1"
            message = f"{found.params.alpha:g} multiplies background and foreground alike"
            yield found.at("alpha"), message + (beside if by_weights != 1 else "")


def _of_background(found: Placed) -> tuple[float, float]:
    """Return what alpha and the class weights weigh the background by, the foreground being 1."""
    params = found.params
    by_weights = params.background_weight / (params.foreground_weight or float("inf"))
    return (1 - params.alpha) / params.alpha, by_weights
