"""Lints of classes that are rare, and of the weights that they are given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.language.document import Key
from runner.language.lints.lint import Said, lint
from runner.language.lints.subject import Placed, Subject
from runner.registry import losses, samplers
from runner.statistics import IMBALANCED, SEVERE, shares

_BY_CLASS = {
    "combined_safety": "class_weights",
    "balanced_focal": "alpha",
    "cross_entropy": "weights",
}
"""Losses that take a weight for each class, and by which param."""

_ALIKE = (
    *("weighted_sum", "focal", "dice", "binary_dice", "binary_focal"),
    *("surface_boundary", "cldice", "connectivity"),
)
"""Losses of masks without such a param."""

_AGAINST = 2.0
"""Share of the commonest class over a rarer one's from which weights have a direction."""

_OVERSHOT = 1.5
"""How much more than the commonest a rarer class may count in all."""


@dataclass(frozen=True)
class Weights:
    """What a loss weighs classes by.

    Attributes:
        key: of the weights.
        of: weight of each class, by name.
    """

    key: Key
    of: Mapping[str, float]


def counts(subject: Subject) -> dict[str, float]:
    """Return how much of each class is trained on; empty where that was not measured."""
    known = subject.statistics
    if known is None:
        return {}
    found = {name: count for name, count in known.classes.items() if count}
    is_merged = getattr(subject.recipe.data.params, "label_policy", None) == "merge_ignore"
    was_merged = bool(known.figures.get("merged_share"))
    if is_merged and not was_merged:
        foreground = list(known.classes)[1]
        return {**found, foreground: known.classes[foreground] + known.ignored}
    return found if is_merged or not was_merged else {}


def weights(subject: Subject) -> list[Weights]:
    """Return the weights by class that the recipe's losses have, where they are known."""
    found = []
    for name, param in _BY_CLASS.items():
        for loss in subject.parts(losses, name):
            value = getattr(loss.params, param)
            limit = getattr(loss.params, "max_alpha", None) or float("inf")
            by_class = {key: min(each, limit) for key, each in _named(value, subject).items()}
            if by_class:
                found.append(Weights(loss.at(param), by_class))
    for loss in subject.parts(losses, "binary_focal"):
        values = (loss.params.background_weight, loss.params.foreground_weight)
        found.append(Weights(loss.at("background_weight"), _named(values, subject)))
    return found


def _named(value: Any, subject: Subject) -> dict[str, float]:
    known = subject.statistics
    if value is None:
        return {}
    if isinstance(value, str):
        return dict(known.weights) if known else {}
    if isinstance(value, Mapping):
        return dict(value)
    names: Sequence[str] = [f"class {number}" for number in range(len(value))]
    if known and len(known.classes) == len(value):
        names = list(known.classes)
    return dict(zip(names, value, strict=True))


@lint(
    reason="the network learns never to predict it",
    cure="the loss balanced_focal with alpha: from_data and max_alpha: 10, or rare_class_crops",
    is_of_data=True,
)
def unhandled_imbalance(subject: Subject) -> Said:
    """A class more than ten times rarer than another, and nothing that makes up for it."""
    found = counts(subject)
    if len(found) < 2 or _is_drawn_more(subject, rare := min(found, key=found.__getitem__)):
        return
    all_losses = subject.parts(losses)
    if len(all_losses) != len(subject.parts(losses, *_BY_CLASS, *_ALIKE)):
        return  # a loss of which nothing is known may well balance its classes
    common = max(found, key=found.__getitem__)
    ratio = found[common] / found[rare]
    weighted = [
        ratio * each.of[common] / each.of[rare]
        for each in weights(subject)
        if each.of.get(rare) and common in each.of
    ]
    if ratio > IMBALANCED and min(weighted, default=ratio) > IMBALANCED:
        made = f", which the loss makes {min(weighted):.0f}:1" if weighted else ""
        message = f"{_shares(found, rare, common, subject)}: {ratio:.0f}:1{made}"
        yield all_losses[0].key, message


def _is_drawn_more(subject: Subject, name: str) -> bool:
    """Whether the sampler seeks a class."""
    for found in subject.parts(samplers, "rare_class_crops"):
        if name in found.params.classes and found.params.probability:
            return True
    seeks_foreground = subject.parts(samplers, "foreground_patches", "balanced_patches")
    known = subject.statistics
    return (
        bool(seeks_foreground and known) and name != next(iter(known.classes)) if known else False
    )


def _shares(found: Mapping[str, float], rare: str, common: str, subject: Subject) -> str:
    of = shares(dict(found))
    unit = subject.statistics.unit if subject.statistics else ""
    return f"{rare} has {of[rare]:.2%} of the {unit}, {common} {of[common]:.1%}"


@lint(
    reason="they add to the imbalance",
    cure="from_data, or total / (number of classes x count)",
    is_of_data=True,
)
def inverted_class_weights(subject: Subject) -> Said:
    """A rare class that weighs less than the commonest."""
    for each, rare, common, found in _pairs(subject):
        ratio = found[common] / found[rare]
        if ratio > _AGAINST and each.of[rare] < each.of[common]:
            said = _shares(found, rare, common, subject)
            message = f"{said}, but their weights are {each.of[rare]:g} and {each.of[common]:g}"
            yield each.key, message


@lint(
    reason="they do not balance the classes, they turn the imbalance round",
    cure="from_data, or total / (number of classes x count)",
    is_of_data=True,
)
def overshot_class_weights(subject: Subject) -> Said:
    """Weights by which a rarer class counts more, in all, than the commonest."""
    for each, rare, common, found in _pairs(subject):
        in_all = found[rare] * each.of[rare] / (found[common] * each.of[common])
        if in_all > _OVERSHOT:
            total, number = sum(found.values()), len(found)
            right = [total / (number * found[name]) for name in (rare, common)]
            message = (
                f"{_shares(found, rare, common, subject)}; weighted by {each.of[rare]:g} and "
                f"{each.of[common]:g} the first counts {in_all:.1f} times as much, where "
                f"{right[0]:.3g} and {right[1]:.3g} would balance them"
            )
            yield each.key, message


def _pairs(subject: Subject) -> Iterator[tuple[Weights, str, str, dict[str, float]]]:
    """Yield weights with the rarest and the commonest class that both have one."""
    found = counts(subject)
    for each in weights(subject):
        weighed = [name for name in found if each.of.get(name)]
        if len(weighed) > 1:
            rare, common = (pick(weighed, key=found.__getitem__) for pick in (min, max))
            yield each, rare, common, found


@lint(
    reason="its recall rises while its IoU falls: it is seen everywhere",
    cure="max_alpha: 10",
)
def extreme_class_weights(subject: Subject) -> Said:
    """Weights of which one is more than a hundred times another."""
    for each in weights(subject):
        given = sorted((weight, name) for name, weight in each.of.items() if weight)
        if given and given[-1][0] > SEVERE * given[0][0]:
            (least, common), (most, rare) = given[0], given[-1]
            yield (
                each.key,
                f"{rare} wins where it is {least / most:.2g} times as likely as {common}",
            )


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
