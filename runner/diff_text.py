"""Two recipes' differences as text for a terminal, and as Markdown for a pull request."""

import json
import re
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.colour import Paint, plain
from runner.render import markdown, table

if TYPE_CHECKING:
    from runner.language.diff import Comparison, Group
    from runner.language.differences import Difference

_NO_REASON = "no reason is given"


def comparison(found: "Comparison", *, width: int = 100, paint: Paint = plain) -> str:
    """Return differences grouped by reason, and what follows from them.

    Args:
        found: what differs.
        width: of a line.
        paint: puts text in a colour.
    """
    lines = [paint(f"{found.before} -> {found.after}", "bold")]
    lines += [line for each in found.runs for line in textwrap.wrap(each, width)]
    if not found.groups:
        return "\n".join([*lines, "", "no difference"])
    for number, group in enumerate(found.groups, 1):
        head = f"{number}. "
        wrapped = textwrap.wrap(
            group.because or _NO_REASON, width, initial_indent=head, subsequent_indent="   "
        )
        lines += ["", *(paint(line, "bold") for line in wrapped)]
        lines += [f"   {x}" for each in group.differences for x in _lines(each, width - 3, paint)]
        lines += [f"   claimed: {key} {value}" for key, value in group.expected.items()]
        for note in group.notes:
            note_lines = textwrap.wrap(
                note, width, initial_indent="   note: ", subsequent_indent="   "
            )
            lines += [paint(line, "dim") for line in note_lines]
    if found.consequences:
        lines += ["", _consequences(found, width)]
    return "\n".join(lines)


def _lines(each: "Difference", width: int, paint: Paint) -> list[str]:
    """Return one line for a value; two sides for what is long, or a part that was swapped."""
    before, after = sides(each)
    if each.kind != "swapped" and len(f"{each}: {before} -> {after}") <= width:
        return [f"{each}: {paint(before, 'red')} -> {paint(after, 'green')}"]
    lines = [f"{each}:"]
    for sign, colour, text in (("-", "red", before), ("+", "green", after)):
        wrapped = textwrap.wrap(
            text, width, initial_indent=f"  {sign} ", subsequent_indent="    ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        lines += [paint(line, colour) for line in wrapped]
    return lines


def sides(each: "Difference") -> tuple[str, str]:
    """Return both values of a difference as text."""
    if each.kind == "swapped":
        return _part(each.before), _part(each.after)
    before = "not there" if each.kind == "added" else json.dumps(each.before, ensure_ascii=False)
    after = "not there" if each.kind == "removed" else json.dumps(each.after, ensure_ascii=False)
    return before, after


def _part(part: Mapping[str, Any]) -> str:
    params = ", ".join(f"{key} {json.dumps(value)}" for key, value in part["params"].items())
    return f"{part['name']}({params})"


def _rows(found: "Comparison") -> list[list[str]]:
    return [
        [name, before, after, _change(before, after)] for name, before, after in found.consequences
    ]


def _change(before: str, after: str) -> str:
    """Return by how much a figure grew or shrank; empty where it is none."""
    figures = [re.fullmatch(r"([-+.\de]+)( \w+)?", text) for text in (before, after)]
    try:
        old, new = (float(figure[1]) for figure in figures if figure)
        same_unit = len({figure[2] for figure in figures if figure}) == 1
        return f"{new / old - 1:+.0%}" if same_unit else ""
    except (ValueError, ZeroDivisionError):
        return ""


def _consequences(found: "Comparison", width: int) -> str:
    """Return the derived facts side by side; one below the other where that is too wide."""
    rows = _rows(found)
    whole = table([["what follows", found.before, found.after, ""], *rows], indent="")
    if max(map(len, whole.splitlines())) <= width:
        return whole
    told = ["what follows"]
    for name, old, new, change in rows:
        text = f"{old} -> {new} {change}".rstrip()
        told.append(f"  {name}")
        told += textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="      ")
    return "\n".join(told)


def as_markdown(found: "Comparison") -> str:
    """Return differences as a comment on a pull request."""
    blocks = [f"### {_code(found.before)} → {_code(found.after)}", *map(_prose, found.runs)]
    if not found.groups:
        return "\n\n".join([*blocks, "No difference."])
    for number, group in enumerate(found.groups, 1):
        blocks.append(f"**{number}.** {_prose(group.because or _NO_REASON)}")
        blocks.append(_table_of(group, found))
        if group.expected:
            claims = (f"{_code(key)} {_prose(str(value))}" for key, value in group.expected.items())
            blocks.append(f"Claimed: {', '.join(claims)}")
        blocks += [f"> {_prose(note)}" for note in group.notes]
    if found.consequences:
        head = ["What follows", _code(found.before), _code(found.after), "Change"]
        rows = [[_prose(cell) for cell in row] for row in _rows(found)]
        blocks.append(markdown([head, *rows]))
    return "\n\n".join(blocks)


def _table_of(group: "Group", found: "Comparison") -> str:
    rows = [["Key", _code(found.before), _code(found.after)]]
    for each in group.differences:
        rows.append([_code(str(each)), *map(_code, sides(each))])
    return markdown(rows)


def _code(text: str) -> str:
    """Return text as code: in a fence longer than any within, and safe in a cell of a table."""
    runs = re.findall("`+", text)
    fence = "`" * (1 + max(map(len, runs), default=0))
    space = " " if runs else ""
    words = " ".join(text.split()).replace("|", "\\|")
    return f"{fence}{space}{words}{space}{fence}"


def _prose(text: str) -> str:
    # A recipe may be a stranger's: its words must stay words.
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split()))
