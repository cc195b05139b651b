"""The draft of a recipe that follows from what was measured of its data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runner.counting import number_of
from runner.errors import Problem, RecipeError
from runner.insight.analysis_remarks import IMBALANCE_CURE, SMALLEST_SIDE_PX
from runner.language.dump import to_yaml
from runner.language.load import Loaded, is_published
from runner.language.recipe import Recipe
from runner.language.sought import is_sought
from runner.registry import losses
from runner.statistics import IMBALANCED, RARELY_DONE, Remark, Statistics

WEIGHT_LIMIT = 10.0
"""Above it a class is found wherever it could be: its recall rises while its IoU falls."""

_WEIGHTS = ("alpha", "weights", "class_weights")
"""What losses call a weight for each class."""

_ALIKE = 0.25
"""By how much written weights may differ from measured ones, relative to them."""

_DONE_SHARE = 0.3
_DEEPEST = 16
"""What edges of a patch should divide by: four halvings."""


@dataclass(frozen=True)
class Change:
    """A value that the data ask for.

    Attributes:
        key: where it stands in a recipe.
        value: what should stand there.
        because: what was measured.
    """

    key: tuple[str, ...]
    value: Any
    because: str


def changes_for(loaded: Loaded, found: Statistics) -> list[Change]:
    """Return what should change in a recipe; empty where nothing follows from its data."""
    data = loaded.recipe.dump()
    return [
        *_labels(found),
        *_weights(loaded.recipe, data["task"], found),
        *_crops(data, found),
        *_done(data, found),
        *(_sizes(data, found) if loaded.scale == "full" else ()),
    ]


def remarks_for(loaded: Loaded, found: Statistics) -> list[Remark]:
    """Return the remarks on the data as they stand for a recipe, and those on its weights."""
    data = loaded.recipe.dump()
    cure = _handled(loaded.recipe, data, found)
    takes = _takes_weights(data["task"], found)
    told = [_advised(each, cure, takes) for each in found.remarks]
    return [*told, *_miscounted(data["task"], found)]


def weightless(found: Statistics) -> str:
    """Return why the data give no weights, and the cure; empty where they do."""
    absent = [name for name, count in found.classes.items() if not count]
    if not absent or len(absent) == len(found.classes):
        return ""
    have, them = ("has", "it") if len(absent) == 1 else ("have", "them")
    return (
        f"no class weights follow: {', '.join(absent)} {have} no {found.unit} in the split "
        f"'train'; leave {them} out of data.params.classes, or of its mapping, or add data "
        f"that show {them}"
    )


def draft(
    loaded: Loaded,
    changes: Sequence[Change],
    root: str | None,
    notes: Sequence[str] = (),
) -> str:
    """Return a child of a recipe as text, each change with what was measured.

    Args:
        loaded: the recipe.
        changes: what differs.
        root: of the data, where it is another than the recipe's.
        notes: what is said besides the changes, such as warnings.
    """
    path = loaded.source.chain[-1]
    base = loaded.name if is_published(path) else path.name
    lines = [f"# What `runner analyze` found that {loaded.name} should do otherwise on its data."]
    said = [*notes, *(f"{'.'.join(each.key)}: {each.because}" for each in changes)]
    for text in said or ["Nothing: the recipe suits them."]:
        lines += textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="#   ")
    content: dict[str, Any] = {"extends": base}
    everything = [Change(("data", "params", "root"), root, "")] if root else []
    for change in (*everything, *changes):
        block = content
        for key in change.key[:-1]:
            block = block.setdefault(key, {})
        block[change.key[-1]] = change.value
    return "\n".join(lines) + "\n" + to_yaml(content)


def require_place(loaded: Loaded, file: Path) -> None:
    """Raise a RecipeError where a draft in this file could not extend the recipe."""
    path = loaded.source.chain[-1]
    message = ""
    if file.suffix not in (".yaml", ".yml"):
        message = "a recipe's name ends in .yaml"
    elif file.exists():
        message = "exists already; name a new file"
    elif not is_published(path) and file.resolve().parent != path.resolve().parent:
        message = f"a draft extends files of its own folder alone; write it into {path.parent}"
    if message:
        raise RecipeError(Problem(str(file), "--write-patch", message))


def _labels(found: Statistics) -> Iterator[Change]:
    merged = found.figures.get("merged_share", 0.0)
    if merged:
        yield Change(
            ("data", "params", "label_policy"),
            "ignore",
            f"{merged:.1%} of the {found.unit} are labelled as unknown, and are trained as "
            f"{list(found.classes)[1]}",
        )


def _weights(recipe: Recipe, task: Mapping[str, Any], found: Statistics) -> Iterator[Change]:
    """Yield weights for each loss that takes one for each class and does not follow the data.

    What the sampler seeks already gets no weights where there are none.
    """
    if found.imbalance <= IMBALANCED or not found.weights:
        return
    measured = [float(f"{weight:.4g}") for weight in found.weights.values()]
    is_drawn = _is_drawn(recipe, found)
    for key, part in _losses(task, ("task",)):
        own = part["params"]
        for name in [name for name in _WEIGHTS if name in own]:
            limit = "max_alpha" in own
            wanted = measured if limit else [min(weight, WEIGHT_LIMIT) for weight in measured]
            if own[name] == "from_data" or (is_drawn and own[name] is None):
                continue
            if not _accepts(part, name, wanted):
                continue
            if not _follow(own[name], wanted):
                because = (
                    f"{found.imbalance:.0f}:1; total / ({len(measured)} classes x count of the "
                    f"class){'' if limit else f', {WEIGHT_LIMIT:g} at most'}"
                )
                yield Change((*key, "params", name), wanted, because)
            has_limit = own.get("max_alpha") is not None and own["max_alpha"] <= WEIGHT_LIMIT
            if limit and not has_limit and max(measured) > WEIGHT_LIMIT:
                because = "above, recall rises while IoU falls: the class is seen everywhere"
                yield Change((*key, "params", "max_alpha"), WEIGHT_LIMIT, because)


def _is_drawn(recipe: Recipe, found: Statistics) -> bool:
    """Whether the sampler seeks the rarest class, which validate then finds handled, too."""
    occurring = {name: count for name, count in found.classes.items() if count}
    if len(occurring) < 2:
        return False
    return is_sought(recipe, list(occurring), min(occurring, key=occurring.__getitem__))


def _handled(recipe: Recipe, data: Mapping[str, Any], found: Statistics) -> str:
    """Return the key by which a recipe handles imbalance already; empty where it does not."""
    if any((*_weights(recipe, data["task"], found), *_crops(data, found))):
        return ""
    if _is_drawn(recipe, found):
        return "sampler"
    measured = list(found.weights.values())
    limited = [min(weight, WEIGHT_LIMIT) for weight in measured]
    for key, part in _losses(data["task"], ("task",)) if measured else ():
        for name in [name for name in _WEIGHTS if name in part["params"]]:
            own = part["params"][name]
            if own == "from_data" or _follow(own, measured) or _follow(own, limited):
                return ".".join((*key, "params", name))
    return ""


def _takes_weights(task: Mapping[str, Any], found: Statistics) -> bool:
    """Whether a loss has a parameter that may hold a weight for each class."""
    weights = [1.0] * len(found.classes)
    return any(
        name in part["params"] and _accepts(part, name, weights)
        for _, part in _losses(task, ("task",))
        for name in _WEIGHTS
    )


def _advised(remark: Remark, cure: str, takes_weights: bool) -> Remark:
    """Return a remark on imbalance with what can be done about it in a recipe; others as is."""
    if remark.kind != "imbalance":
        return remark
    if not cure and not takes_weights:
        other = (
            "no loss of the recipe takes a weight for each class: add data that show what is "
            "rare, and look at precision beside recall"
        )
        message = remark.message.removesuffix(IMBALANCE_CURE) + other
        return remark.model_copy(update={"message": message})
    if not cure:
        return remark
    handled = f"{cure} handles it already; look at precision beside recall"
    message = remark.message.removesuffix(IMBALANCE_CURE) + handled
    return remark.model_copy(update={"level": "note", "message": message})


def _miscounted(task: Mapping[str, Any], found: Statistics) -> Iterator[Remark]:
    """Yield a warning for each list of weights that is not of the data's classes."""
    for key, part in _losses(task, ("task",)):
        for name in _WEIGHTS:
            own = part["params"].get(name)
            if isinstance(own, list) and len(own) != len(found.classes):
                weights = number_of(len(own), "weights")
                classes = number_of(len(found.classes), "classes")
                message = (
                    f"{'.'.join((*key, 'params', name))}: {weights}, but the data have {classes} "
                    f"({', '.join(found.classes)}); write one for each"
                )
                yield Remark(kind="weights", level="warning", message=message)


def _losses(block: Any, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield each loss below a block with its key."""
    if not isinstance(block, dict):
        return
    if block.get("name") in list(losses) and isinstance(block.get("params"), dict):
        yield key, block
    for name, value in block.items():
        yield from _losses(value, (*key, name))


def _accepts(part: Mapping[str, Any], name: str, value: Any) -> bool:
    try:
        losses[part["name"]].params.model_validate({**part["params"], name: value})
    except ValidationError:
        return False
    return True


def _follow(written: Any, wanted: Sequence[float]) -> bool:
    """Whether written weights stand in the wanted proportions."""
    values = list(written.values()) if isinstance(written, dict) else written
    if not isinstance(values, list) or len(values) != len(wanted) or not all(values):
        return False
    ratios = [float(value) / weight for value, weight in zip(values, wanted, strict=True)]
    return max(ratios) / min(ratios) <= 1 + _ALIKE


def _crops(data: Mapping[str, Any], found: Statistics) -> Iterator[Change]:
    rare = [name for name, weight in found.weights.items() if weight > WEIGHT_LIMIT]
    sampler = data["sampler"]
    if not rare or sampler["name"] != "random_crops" or not data["data"]["params"].get("crop"):
        return
    params = {"classes": rare, "probability": 0.5, **sampler["params"]}
    names = ", ".join(f"{name} has {found.shares[name]:.2%}" for name in rare)
    because = f"{names} of the {found.unit}: half of the crops show it, without false alarms"
    yield Change(("sampler",), {"name": "rare_class_crops", "params": params}, because)


def _done(data: Mapping[str, Any], found: Statistics) -> Iterator[Change]:
    done = found.figures.get("done_share")
    if done is None or done >= RARELY_DONE or data["sampler"]["name"] != "sequential_points":
        return
    because = f"{done:.2%} of the draws are done, exactly, over all images and choices"
    yield Change(("sampler", "params", "done_mode"), "balanced", because)
    yield Change(("sampler", "params", "done_share"), _DONE_SHARE, "as in the recipe points")


def _sizes(data: Mapping[str, Any], found: Statistics) -> Iterator[Change]:
    params = data["data"]["params"]
    side = found.figures.get("box_side_at_size_px/median")
    if side is not None and side < SMALLEST_SIDE_PX:
        factor = SMALLEST_SIDE_PX / side
        size = [32 * -(-int(edge * factor) // 32) for edge in params["size"]]
        because = f"half of the boxes have a side below {side:.1f} px at {params['size']}"
        yield Change(("data", "params", "size"), size, because)
    edges = [
        found.figures.get(f"image_{axis}_voxels/median") for axis in ("depth", "height", "width")
    ]
    patch = params.get("patch")
    if patch and all(edges) and any(a > b for a, b in zip(patch, edges, strict=True) if b):
        fitting = [
            min(wanted, max(_DEEPEST, int(edge or 0) // _DEEPEST * _DEEPEST))
            for wanted, edge in zip(patch, edges, strict=True)
        ]
        median = "x".join(f"{edge:g}" for edge in edges)
        if fitting != patch:
            because = f"the median volume has {median} voxels: a larger patch is mostly filling"
            yield Change(("data", "params", "patch"), fitting, because)
