"""What was measured of a data set, as one screen of text."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from runner import render
from runner.counting import number_of

if TYPE_CHECKING:
    from runner.insight.analysis import Analysis
    from runner.insight.analysis_patch import Change
    from runner.statistics import Remark, SplitStatistics, Statistics

SUITS = "the recipe suits its data: no change follows"

_SHOWN = 5
"""Places of a remark, and unmapped values, that are shown; analysis.json has more."""

_MARKS = {"warning": "[WARNING]", "note": "[note]"}

_SHARES = ("share", "done_share")


def summary(
    name: str,
    found: Analysis,
    changes: Sequence[Change],
    remarks: Sequence[Remark],
    weightless: str,
) -> str:
    """Return the figures of each split, what they mean and what a recipe should change.

    Args:
        name: of the recipe.
        found: what was measured; its data set could be opened.
        changes: what follows for the recipe.
        remarks: on the data, as they stand for the recipe.
        weightless: why the data give no weights; empty where they do.
    """
    measured = found.statistics
    assert measured is not None, "what could not be opened has no figures"
    items = ", ".join(_items(split, each) for split, each in measured.splits.items())
    blocks = [
        f"{name}: {measured.dataset} {measured.root} ({items}; fingerprint {measured.fingerprint})",
        _classes(measured),
        _figures(measured),
        *_unmapped(found),
        *(_remark(each) for each in remarks),
        "\n".join(_wrapped(weightless)),
        _changes(changes) if changes else unchanged(remarks),
    ]
    return "\n\n".join(block for block in blocks if block)


def unchanged(remarks: Sequence[Remark]) -> str:
    """Return what is said of a recipe for which no change follows."""
    if any(each.level == "warning" for each in remarks):
        return "no change of the recipe follows; see the warnings above"
    return SUITS


def _items(split: str, each: SplitStatistics) -> str:
    labelled = "" if each.labelled == each.items else f", {each.labelled:,} of them labelled"
    return f"{split} {each.items:,}{labelled}"


def _classes(found: Statistics) -> str:
    head = [f"share of the {found.unit}", *found.splits]
    rows = [[*head, "weight"] if found.weights else head]
    for name in found.classes:
        shares = [
            f"{100 * each.shares[name]:.2f} %" if each.labelled else "unlabelled"
            for each in found.splits.values()
        ]
        weight = [f"{found.weights[name]:.4g}"] if found.weights else []
        rows.append([name, *shares, *weight])
    if len(found.classes) == 1:
        rows = rows[:1]
    counts = [f"{sum(each.classes.values()):,.0f}" for each in found.splits.values()]
    rows.append([f"{found.unit} in all", *counts, *([""] if found.weights else [])])
    return render.table(rows, indent="")


def _figures(found: Statistics) -> str:
    names = dict.fromkeys(key for each in found.splits.values() for key in each.figures)
    rows = [["", *found.splits]]
    for name in names:
        stem, _, kind = name.partition("/")
        if kind not in ("", "median"):
            continue
        row = [stem.replace("_", " ")]
        for each in found.splits.values():
            value = each.figures.get(name)
            low, high = (each.figures.get(f"{stem}/{end}") for end in ("min", "max"))
            row.append(_cell(stem, value, low, high))
        if any(cell != "0.0 %" for cell in row[1:]):
            rows.append(row)
    return render.table(rows, indent="") if len(rows) > 1 else ""


def _cell(stem: str, value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    if stem.endswith(_SHARES):
        return f"{value:.1%}".replace("%", " %")
    if low is None or high is None or low == high:
        return f"{value:.4g}"
    return f"{value:.4g} ({low:.4g} to {high:.4g})"


def _unmapped(found: Analysis) -> Iterator[str]:
    for split, tally in found.tallies.items():
        values = sorted(tally.unmapped.items(), key=lambda each: -each[1].units)
        if not values:
            continue
        lines = [
            f"  {value}: {number_of(each.units, tally.unit, ',')} in "
            f"{number_of(each.items, 'masks', ',')}, first {each.first}"
            for value, each in values[:_SHOWN]
        ]
        rest = len(values) - _SHOWN
        more = [f"  and {number_of(rest, 'more values', ',')}"] if rest > 0 else []
        yield "\n".join([f"unmapped in the split {split!r}:", *lines, *more])


def _remark(remark: Remark) -> str:
    text = f"{_MARKS[remark.level]} {remark.kind}: {remark.message}"
    shown = [f"  {place}" for place in remark.places[:_SHOWN]]
    more = remark.count - len(shown)
    rest = [f"  and {more:,} more"] if shown and more > 0 else []
    return "\n".join([*_wrapped(text), *shown, *rest])


def _changes(changes: Sequence[Change]) -> str:
    lines = ["what follows for the recipe (--write-patch FILE.yaml):"]
    for each in changes:
        value = each.value if isinstance(each.value, str) else json.dumps(each.value)
        lines.append(f"  {'.'.join(each.key)}: {value}")
        lines += _wrapped(each.because, "    ")
    return "\n".join(lines)


def _wrapped(text: str, indent: str = "") -> list[str]:
    width = min(100, shutil.get_terminal_size((100, 24)).columns)
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent or "  ", break_long_words=False
    )
