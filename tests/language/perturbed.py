"""Every value of the published recipes, changed within its type, and digests of what it changes."""

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal, get_args, get_origin

from reachable import beside, others

from runner.contracts import History, Progress
from runner.errors import RunnerError
from runner.events import Evaluated, Stepped
from runner.insight.expectations import check_expectations
from runner.language.course import learning_rate, plan_of
from runner.language.document import dotted
from runner.language.load import Loaded, load
from runner.language.overlay import value_at
from runner.language.source import published
from runner.language.walk import reading_of

PROSE = {"schema", "scenario", "name", "scale", "version", "extends", "summary", "changes",
         "observed", "allow", "sample", "smoke"}  # fmt: skip
DRAWS = 10_007
"""Of an epoch; no multiple of anything, so that what becomes of its last batch shows."""


@dataclass(frozen=True)
class Leaf:
    """A value of a recipe.

    Attributes:
        recipe, scale: where it stands.
        key: of the value.
        name: of the factory and its parameter, by which equal ones of all recipes are one.
        value: plain data.
    """

    recipe: str
    scale: Literal["smoke", "full"]
    key: tuple
    name: str
    value: Any

    def __str__(self) -> str:
        return f"{self.name} ({self.recipe}, {self.scale}: {dotted(self.key)} = {self.value!r})"


def leaves() -> list[Leaf]:
    """Return one value of each parameter: at smoke scale, or else as written."""
    found: dict[str, Leaf] = {}
    for scale in ("smoke", "full"):
        for recipe in published():
            loaded = at_scale(recipe, scale)
            for key, value in _walk(loaded.recipe.dump(), ()):
                if key[0] in PROSE:
                    continue
                leaf = Leaf(recipe, scale, key, _name(loaded, key), value)
                # A value says more about a parameter than its absence.
                if leaf.name not in found or found[leaf.name].value is None is not value:
                    found[leaf.name] = leaf
    return list(found.values())


def _walk(data: Any, key: tuple) -> Iterator[tuple[tuple, Any]]:
    if isinstance(data, dict) and data:
        for name, value in data.items():
            yield from _walk(value, (*key, name))
    elif isinstance(data, list) and data and isinstance(data[0], dict):
        for number, value in enumerate(data):
            yield from _walk(value, (*key, number))
    else:
        yield key, data


def _name(loaded: Loaded, key: tuple) -> str:
    part = None
    for depth in range(len(key), 0, -1):
        reading = reading_of(loaded.recipe, key[:depth])
        if reading is not None and reading.part is not None:
            part = reading.part
            break
    if part is None:
        return dotted(tuple("*" if isinstance(each, int) else each for each in key))
    if key[0] == "health":
        return f"health {part.name}.{dotted(key[2:])}"
    last = max((n for n, each in enumerate(key) if each == "params"), default=len(key) - 2)
    tail = key[last + 1 :]
    return f"{part.name}.{dotted(tuple('*' if isinstance(n, int) else n for n in tail))}"


def at_scale(recipe: str, scale: str, sets: tuple[str, ...] = ()) -> Loaded:
    """Return a recipe at smoke scale, or as it is written."""
    return load(recipe, sets=sets, is_smoke=scale == "smoke", is_full=scale == "full")


def small(leaf: Leaf, own: str) -> tuple[str, ...]:
    """Return the ``--set`` that shrink a run without hiding the leaf, and let it be looked at.

    Args:
        leaf: to be changed.
        own: folder for data that the proof writes itself.
    """
    sets = []
    if leaf.scale == "full":
        for key, value in _shrunk(load(leaf.recipe).recipe.smoke, ()):
            if key[: len(leaf.key)] != leaf.key and leaf.key[: len(key)] != key:
                sets.append(_set(key, value))
        if "window" in leaf.key:
            sets += ["task.params.window={size: [16, 16, 16], overlap: 0.25, batch: 1}",
                     "data.params.validation=volumes"]  # fmt: skip
    return (*sets, *(f"{key}={json.dumps(each)}" for key, each in beside(leaf.name, own).items()))


def _set(key: tuple, value: Any) -> str:
    return f"{dotted(key)}={json.dumps(value)}"


def _shrunk(block: Any, key: tuple) -> Iterator[tuple[tuple, Any]]:
    """Yield the values of a smoke block; what swaps a part, or names patterns, is one."""
    if isinstance(block, dict) and not any(name == "name" or "." in name for name in block):
        for name, value in block.items():
            yield from _shrunk(value, (*key, name))
    else:
        yield key, block


def reached(leaf: Leaf, sets: tuple[str, ...]) -> Leaf:
    """Return a leaf with the value that it has once these are set."""
    return replace(
        leaf, value=value_at(at_scale(leaf.recipe, leaf.scale, sets).recipe.dump(), leaf.key)
    )


def changed(leaf: Leaf, value: Any, sets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ``--set`` that put a value in a leaf's place, after others."""
    # No ``--set`` names an element of a list, or a pattern with a dot.
    whole = next((n for n, each in enumerate(leaf.key) if not _is_plain(each)), len(leaf.key))
    if leaf.key[-2:-1] == ("fractions",):
        whole = len(leaf.key) - 1
    key, below = leaf.key[:whole], leaf.key[whole:]
    if not below:
        return (*sets, _set(key, value))
    block = copy.deepcopy(value_at(at_scale(leaf.recipe, leaf.scale, sets).recipe.dump(), key))
    inner = block
    for name in below[:-1]:
        inner = inner[name]
    if leaf.key[-2:-1] == ("fractions",):
        # They sum to one: what a split gains, another loses.
        another = next(name for name in inner if name != below[-1])
        inner[another] += inner[below[-1]] - value
    inner[below[-1]] = value
    return (*sets, _set(key, block))


def _is_plain(name: str | int) -> bool:
    return isinstance(name, str) and "." not in name


OTHERS: dict[type, list[Any]] = {
    bool: [],
    int: [1, 2, 3, 5, 16, 0],
    float: [0.05, 0.5, 0.9, 0.0, 1.0, 3.0, 30.0, 1000.0],
}


def candidates(leaf: Leaf) -> list[Any]:
    """Return other values of the same type, likely ones first."""
    return [*(each for each in others(leaf.name) if each != leaf.value), *_of_its_type(leaf)]


def _of_its_type(leaf: Leaf) -> list[Any]:
    value = leaf.value
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [
            n for n in (value + 1, value * 2, value - 1, value // 2, *OTHERS[int]) if n != value
        ]
    if isinstance(value, float):
        near = (value * 1.5, value * 0.5, value + 0.1, value * 0.01)
        return [x for x in (*near, *OTHERS[float]) if x != value]
    if isinstance(value, str):
        names = ["val/loss", "val/miou", "val/dice", "val/map50", "val/error_px/median"]
        return [*_choices(leaf), *(n for n in names if "/" in value and n != value),
                f"{value}x", f"x{value}"]  # fmt: skip
    if isinstance(value, list) and value:
        own = Leaf(leaf.recipe, leaf.scale, leaf.key, leaf.name, value[0])
        return [
            *([each, *value[1:]] for each in _of_its_type(own)),
            *([each] * len(value) for each in _of_its_type(own)),
            value[::-1], value[:-1], value[:1],
        ]  # fmt: skip
    return [*_choices(leaf), True, 1, 2, 4, 0.5, 0.05, 3.0, "from_data", [1.0, 2.0], ["a"],
            {"epochs": 0.5}, {"fraction": 0.5}, {"patience": 1}, {"decay": 0.5}, {"size": [16, 16]},
            "x.safetensors", {"train": "x", "val": "y"}]  # fmt: skip


def _choices(leaf: Leaf) -> list[Any]:
    """Return what else a parameter may be that names one of several."""
    reading = reading_of(at_scale(leaf.recipe, leaf.scale).recipe, leaf.key)
    if reading is None or reading.owner is None:
        return []
    annotation = type(reading.owner).model_fields
    found = [f for name, f in annotation.items() if (f.alias or name) == str(leaf.key[-1])]
    return [c for f in found for c in _literals(f.annotation) if c != leaf.value]


def _literals(hint: Any) -> list[Any]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [each for inner in get_args(hint) for each in _literals(inner)]


# ------------------------------------------------------------------------------- digests


def of_plan(loaded: Loaded) -> str:
    """Return a digest of steps, evaluations, learning rates and early stopping; no torch."""
    recipe = loaded.recipe
    plan = plan_of(recipe, DRAWS)
    rate = learning_rate(recipe, plan)
    monitored: tuple[tuple[float, float], ...] = ()
    rates = []
    for number in range(60):
        step = plan.steps * number / 60
        rates.append(rate(step, monitored))
        # It gets better ever more slowly, then no more.
        level = 1 - 0.7 ** min(number, 20)
        sign = 1 if recipe.monitor.mode == "max" else -1
        monitored += ((plan.epoch(step), sign * level),)
    return _digest([repr(plan), rates])


def of_health(loaded: Loaded, rule_name: str) -> str:
    """Return a digest of what a rule says of many a training, likely ones and others."""
    rule = loaded.recipe.health[rule_name]
    assert rule is not None
    judge = rule.part.build()
    said = [str(rule.scale)]
    for seed in range(100):
        said += _said(judge, random.Random(seed), loaded)
    return _digest(said)


def _said(judge: Any, chance: random.Random, loaded: Loaded) -> list[str]:
    classes = ("background", "safe")
    kinds = ("iou", "accuracy", "precision", "predicted_share")
    names = [f"val/{kind}/{name}" for kind in kinds for name in classes]
    names += [f"val/{name}" for name in (
        "miou", "loss", "dice", "map50", "error_px/median", "score", "foreground_share_predicted",
        "foreground_share_labelled", "probability_std", "best_constant_dice", "done/recall",
        "done/largest", "places_with_box",
    )]  # fmt: skip
    names += sorted(_names_in(loaded.recipe.dump()["health"]))
    curves = {name: _curve(chance) for name in dict.fromkeys(names) if name.startswith("val/")}
    own = [n for n in names if n.startswith("train/")]
    steps = {
        name: _curve(chance)
        for name in ("train/loss", "train/grad_norm", "train/loss/box", "train/loss/class", *own)
    }
    epochs = float(loaded.recipe.train.epochs or 10)
    moments = [number / 40 for number in range(1, 41)]
    stepped = [
        Stepped(step=n, epoch=epochs * f, values={name: curve(f) for name, curve in steps.items()})
        for n, f in enumerate(moments, 1)
    ]
    evaluated = [
        Evaluated(step=n, epoch=epochs * f, values={name: c(f) for name, c in curves.items()})
        for n, f in enumerate(moments, 1)
        if n % 2 == 0
    ]
    said = []
    for number in (*chance.sample(range(1, 40), 5), 40):
        progress = Progress(number, epochs * number / 40, number / 40)
        so_far = stepped[:number], evaluated[: number // 2]
        history = History(progress, *so_far, "val/miou", "max", classes)
        said += [f"{number} {f.level} {f.subject} {f.message} {f.stops}" for f in judge(history)]
    return said


def _names_in(data: Any) -> set[str]:
    if isinstance(data, dict):
        keys = {each.replace("*", "safe") for each in data if each.startswith(("val/", "train/"))}
        return keys.union(*map(_names_in, data.values()))
    if isinstance(data, list):
        return set().union(*map(_names_in, data))
    return {data} if isinstance(data, str) and data.startswith(("val/", "train/")) else set()


def _curve(chance: random.Random) -> Any:
    """Return a figure's course: from a level to another, with noise, or without."""
    levels = (0.0, 0.005, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0, 2.5, 20.0, 90.0, 200.0)
    start, end = chance.choice(levels), chance.choice(levels)
    if chance.random() < 0.15:
        start = end = 0.0
    bend, noise = chance.choice((0.3, 1, 3)), chance.choice((0, 0, 0.03, 0.2))
    return lambda f: abs((start + (end - start) * f**bend) * (1 + noise * chance.uniform(-1, 1)))


def of_stopping(loaded: Loaded) -> str:
    """Return a digest of after how many evaluations, ever less better, a training is ended."""
    from types import SimpleNamespace

    from runner.engine.history import EarlyStopping
    from runner.engine.loop import _Loop

    stopping = loaded.recipe.train.early_stopping
    rule = stopping and EarlyStopping(stopping.patience, stopping.min_delta)
    monitor = loaded.recipe.monitor
    sign = 1 if monitor.mode == "max" else -1
    ends = []
    for length in range(1, 41):
        series = tuple((float(n), sign * (1 - 0.7**n if n < 20 else 0.9)) for n in range(length))
        evaluated = [SimpleNamespace(step=n) for n in range(length)]
        memory = SimpleNamespace(step=length, monitored=series, evaluated=evaluated)
        plan = SimpleNamespace(steps=1000)
        run = SimpleNamespace(plan=plan, memory=memory, monitor=monitor, early_stopping=rule)
        ends.append(_Loop.planned_end(SimpleNamespace(run=run)))
    return _digest(ends)


def of_expectations(loaded: Loaded) -> str:
    """Return a digest of what is said of runs whose figures end anywhere."""
    names = {each.metric for each in loaded.recipe.expect}
    said = []
    for scale in ("full", "sample", "smoke"):
        for number in range(101):
            values = dict.fromkeys(names, number / 50)
            best = dict.fromkeys(names, number / 70)
            said.append(check_expectations(loaded.recipe.expect, scale, end=values, best=best))
    return _digest(said)


def of_run(loaded: Loaded, cache: str) -> str:
    """Return a digest of two steps: losses, rates, figures, findings, pictures, weights."""
    import torch

    from runner.engine.distributed import Processes
    from runner.engine.loop import train
    from runner.engine.run import assemble
    from runner.language.machine import Machine

    machine = Machine(workers=0, cache=cache)
    try:
        assembled = assemble(
            loaded, machine, device=torch.device("cpu"), processes=Processes(), fingerprint=""
        )
        run = replace(assembled.run, clock=lambda: 0.0)
        seen: list[Any] = [repr(run.plan), torch.backends.cudnn.deterministic]
        for event in train(run):
            pictures = [each.tobytes() for each in getattr(event, "panels", ())]
            seen += [repr(replace(event, panels=()) if pictures else event), *pictures]
    except RunnerError as error:
        return f"refused: {error}"
    for name, tensor in sorted(run.task.state_dict().items()):
        seen += [name, tensor.stride(), tensor.contiguous().numpy().tobytes()]
    return _digest(seen)


def _digest(seen: Any) -> str:
    hashed = sha256()
    for each in seen:
        hashed.update(each if isinstance(each, bytes) else repr(each).encode())
    return hashed.hexdigest()[:16]
