"""A recipe explained, as text for a terminal."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runner.colour import Paint, plain
from runner.counting import number_of
from runner.render import table

if TYPE_CHECKING:
    from runner.insight.memory import Memory
    from runner.language.class_weights import WeightTable
    from runner.language.explain import Explanation
    from runner.language.loss_tables import LossTable
    from runner.language.origins import Origin

_LEVELS = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH = 60
_UNKNOWN = "?"


def explanation(found: "Explanation", *, width: int = 100, paint: Paint = plain) -> str:
    """Return what follows from a recipe.

    Args:
        found: what follows.
        width: of a line.
        paint: puts text in a colour.
    """
    blocks = [
        "\n".join([paint(found.name, "bold"), *textwrap.wrap(found.summary, width)]),
        _facts(found, width),
        _rates(found),
    ]
    blocks += ["\n".join(_weights(each, width)) for each in found.weights]
    before = {each.key: each for each in found.base_losses}
    blocks += ["\n".join(_losses(each, before.get(each.key), found)) for each in found.losses]
    told = [f"data: {found.data}"] if found.data else []
    told += [found.needs] if found.needs else []
    blocks += ["\n".join(textwrap.wrap(each, width)) for each in told]
    return "\n\n".join(block for block in blocks if block)


def _facts(found: "Explanation", width: int) -> str:
    changed = {
        fact.name: found.base_facts[fact.name]
        for fact in found.facts
        if found.base_facts.get(fact.name, fact.value) != fact.value
    }
    names = max(len(fact.name) for fact in found.facts)
    lines = [f"at the scale {found.scale}:" if found.scale != "full" else "at full scale:"]
    for fact in found.facts:
        beside = f"  ({found.base}: {changed[fact.name]})" if fact.name in changed else ""
        lines.append(f"  {fact.name:<{names}}  {fact.value}{beside}")
        lines += _indented(fact.note, names + 4, width)
    return "\n".join(lines)


def _indented(text: str, by: int, width: int) -> list[str]:
    space = " " * by
    return textwrap.wrap(text, width, initial_indent=space, subsequent_indent=space)


def _rates(found: "Explanation") -> str:
    brought = list(found.rates[0].of_task)
    rows = [["learning rate", "", "of the highest", "at step", *brought]]
    for point in found.rates:
        rows.append(
            [
                f"at {100 * point.fraction:.4g} %",
                _rate(point.rate),
                "" if point.of_highest is None else f"{100 * point.of_highest:.3g} %",
                _UNKNOWN if point.step is None else str(point.step),
                *(_rate(point.of_task[name]) for name in brought),
            ]
        )
    lines = [table(rows, indent="")]
    if found.curve:
        lines.append(sparkline(found.curve))
    if found.falls_when_stuck:
        lines.append("as long as the monitored metric gets better: the schedule follows it")
    return "\n".join(lines)


def _rate(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.3g}"


def sparkline(curve: Sequence[float], width: int = _CURVE_WIDTH) -> str:
    """Return a curve as one line of blocks, from 0 to its highest value."""
    highest = max(curve) or 1.0
    places = [round(column * (len(curve) - 1) / (width - 1)) for column in range(width)]
    levels = [min(int(curve[place] / highest * len(_LEVELS)), len(_LEVELS) - 1) for place in places]
    return "".join(_LEVELS[level] for level in levels)


def _weights(found: "WeightTable", width: int) -> Iterator[str]:
    yield f"class weights of {found.key} ({found.loss})"
    rows = [["", "share of the data", "weight", "balanced weight", "of the loss's weight"]]
    for row in found.rows:
        weight = "from the data" if row.weight is None else f"{row.weight:.4g}"
        balanced = _UNKNOWN if row.balanced is None else f"{row.balanced:.4g}"
        rows.append([row.name, _percent(row.share), weight, balanced, _percent(row.pull)])
    yield table(rows)
    for line in _remarks(found):
        yield from textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="  ")


def _remarks(found: "WeightTable") -> Iterator[str]:
    weighed = [row for row in found.rows if row.weight]
    if len(weighed) < 2:
        return
    heavy = max(weighed, key=lambda row: row.weight or 0.0)
    light = min(weighed, key=lambda row: row.weight or 0.0)
    ratio = (heavy.weight or 0.0) / (light.weight or 1.0)
    if ratio < 1 + 1e-9:
        yield "all classes weigh alike: the weights only scale the loss"
        return
    yield (
        f"{heavy.name} weighs {ratio:.3g} times as much as {light.name}: it is predicted where its "
        f"probability is above {1 / ratio:.2g} of the other's"
    )
    shares = [row.share for row in found.rows], [row.pull for row in found.rows]
    if len(found.rows) == 2 and None not in (*shares[0], *shares[1]):
        before, after = (" : ".join(_percent(each) for each in side) for side in shares)
        yield f"{before} becomes {after}"


def _percent(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{100 * share:.3g} %"


def _losses(found: "LossTable", before: "LossTable | None", all_: "Explanation") -> Iterator[str]:
    from runner.language.loss_tables import weaker_px

    yield f"{found.key}: {_titled(found)}, on a canvas of {found.edge_px:g} px"
    rows = [["error", "distance", "loss", "gradient"]]
    rows += [
        [f"{r.error_px:g} px", f"{r.distance:.3f}", f"{r.value:.4f}", f"{r.gradient:.3f}"]
        for r in found.rows
    ]
    changed = before is not None and (before.loss, before.threshold) != (
        found.loss, found.threshold
    )  # fmt: skip
    if before is not None and changed:
        rows[0] += [f"{all_.base}:", "loss", "gradient"]
        for row, old in zip(rows[1:], before.rows, strict=True):
            row += ["", f"{old.value:.4f}", f"{old.gradient:.3f}"]
    yield table(rows)
    if found.at_threshold:
        near, far = found.at_threshold
        yield (
            f"  at the threshold, {found.threshold_px:.3g} px: the loss goes from {near.value:.3g} "
            f"to {far.value:.3g}, its gradient from {near.gradient:.3g} to {far.gradient:.3g}"
        )
    if before is not None and changed:
        weaker = weaker_px(before, found)
        which = "no error"
        if weaker:
            first, last = weaker
            is_rest = last >= found.edge_px
            which = f"every error beyond {first:.3g} px" + ("" if is_rest else f", to {last:.3g},")
        yield f"  {which} is pulled less than in {all_.base} ({_titled(before)})"


def origin_of(found: "Origin", *, width: int = 100, paint: Paint = plain) -> str:
    """Return a value, where it was written and who reads it."""
    lines = textwrap.wrap(f"{found.key}: {_value(found.value)}", width, subsequent_indent="    ")
    lines[0] = lines[0].replace(found.key, paint(found.key, "bold"), 1)
    lines += _indented(found.description, 2, width)
    lines += _indented(found.effect, 2, width)
    for number, writing in enumerate(found.writings):
        title = f"in place of {_value(writing.value)}, " if number else ""
        text = f"{title}written in {writing.place}"
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
        lines += _indented(writing.because, 4, width)
    if not found.writings:
        lines.append(f"  written nowhere: the default of {found.reader}")
    place = f", {found.place}" if found.place else ""
    return "\n".join([*lines, f"  read by {found.reader}{place}"])


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def memory_of(found: "Memory") -> str:
    """Return what a training step keeps on its device."""
    batch, *shape = found.images
    size = " x ".join(map(str, shape))
    parts = {
        "weights and buffers": found.weights,
        "gradients": found.gradients,
        "state of the optimizer": found.optimizer,
        "average of the weights": found.average,
        f"activations of a batch of {batch} x {size}": found.activations,
        "together": found.total,
    }
    rows = [[name, _megabytes(kept)] for name, kept in parts.items() if kept]
    lines = ["memory of a training step, at least", table(rows)]
    if found.computed:
        computed = number_of(found.computed, "samples")
        lines.append(f"  activations are those of {computed} on the CPU, scaled up")
    lines.append("  besides: what operations need while they run, libraries, the device's context")
    return "\n".join(lines)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.{0 if size >= 1e7 else 1}f} MB"


def _titled(found: "LossTable") -> str:
    return found.loss + (f", threshold {found.threshold:g}" if found.threshold else "")
