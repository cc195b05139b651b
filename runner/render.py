"""Turn events, tables and problems into text, and print it."""

from __future__ import annotations

import io
import json
import os
import sys
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from runner.counting import number_of

if TYPE_CHECKING:
    from runner.events import Evaluated, Event, Finding, Stepped
    from runner.language.lints.lint import Concern

_MARKS = {"good": "good", "warning": "WARNING", "critical": "CRITICAL"}


def show(text: str) -> None:
    """Print what the user asked for."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print what is wrong."""
    sys.stderr.write(f"error: {text}\n" if "\n" not in text else f"error:\n{text}\n")
    sys.stderr.flush()


def note(text: str) -> None:
    """Print something beside the answer."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def forget_output() -> None:
    """Let what could not be written be lost, so that the interpreter does not try it again."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except io.UnsupportedOperation:
        return  # a stream in memory, as tests have it, is not written to at the end


def show_progress_of(room: str) -> None:
    """Print what a room of the house logs, such as a conversion that takes minutes."""
    import logging

    logger = logging.getLogger(room)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def table(rows: Sequence[Sequence[str]], *, indent: str = "  ") -> str:
    """Return rows in columns, the first left and the others right aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append(indent + "  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def listing(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return names with a line each, and the parameters of parts below."""
    lines = []
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        lines.append(f"{row['name']:<{width}}  {row['summary']}".rstrip())
        for key, value in row.get("params", {}).items():
            default = "required" if value["required"] else f"= {json.dumps(value['default'])}"
            text = f"    {key}: {value['type']} {default}"
            lines.append(f"{text:<48}  {value['description']}".rstrip())
    return "\n".join(lines)


def type_name(hint: Any) -> str:
    """Return a parameter's type as a recipe's writer thinks of it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "|".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return "|".join("null" if a is type(None) else type_name(a) for a in arguments)
    if origin in (list, tuple):
        return f"[{', '.join('...' if a is Ellipsis else type_name(a) for a in arguments)}]"
    if origin is dict:
        return f"{{{type_name(arguments[0])}: {type_name(arguments[1])}}}"
    if origin is not None and hasattr(origin, "dump"):
        return "part"
    if hasattr(hint, "__metadata__"):
        return type_name(arguments[0])
    names: dict[Any, str] = {str: "text", int: "whole", float: "number", bool: "true|false"}
    return names.get(hint) or str(getattr(hint, "__name__", hint))


def plain(value: Any) -> Any:
    """Return a default as plain data."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "dump"):
        return value.dump()
    return list(value) if isinstance(value, tuple) else value


def duration(seconds: float) -> str:
    """Return seconds as 1:02:03, or 2:03."""
    whole = max(0, round(seconds))
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


class Story:
    """Tells a training event by event, one line or one small table each."""

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self.classes = classes
        self.steps = 0
        self.steps_per_epoch = 1
        self.epochs = 0.0
        self._first: tuple[int, float] | None = None

    def tell(self, event: Event) -> str:
        """Return the text of an event; empty where there is nothing to say."""
        # Imported here, as below: most commands tell of no training and answer sooner without.
        from runner.events import Evaluated, Finding, Finished, Saved, Started, Stepped

        match event:
            case Started():
                self.steps, self.epochs = event.steps, event.epochs
                return (
                    f"{number_of(event.steps, 'steps')} "
                    f"({event.epochs:.4g} epochs of {event.steps_per_epoch}), "
                    f"effective batch {event.effective_batch}"
                )
            case Stepped():
                return self._stepped(event)
            case Evaluated():
                return self._evaluated(event)
            case Finding():
                return finding(event)
            case Saved():
                return ""
            case Finished():
                return f"{event.state} at step {event.step}: {event.reason}"
        raise AssertionError(event)

    def remaining_s(self, event: Event) -> float | None:
        """Return the seconds left at the pace since this process began, where it is known."""
        if self._first is None or event.step <= self._first[0]:
            self._first = self._first or (event.step, event.time_s)
            return None
        pace = (event.time_s - self._first[1]) / (event.step - self._first[0])
        return pace * (self.steps - event.step)

    def _stepped(self, event: Stepped) -> str:
        values = dict(event.values)
        parts = [f"step {event.step}/{self.steps}", f"epoch {event.epoch:.2f}"]
        parts.append(f"loss {values.pop('train/loss', float('nan')):.4f}")
        rate = values.pop("train/lr", None)
        terms = {key: values.pop(key) for key in list(values) if key.startswith("train/loss/")}
        if len(terms) > 1:
            inner = " ".join(
                f"{key.removeprefix('train/loss/')} {v:.4f}" for key, v in terms.items()
            )
            parts.append(f"({inner})")
        parts.append(f"lr {rate:.2e}" if rate is not None else "")
        norm = values.pop("train/grad_norm", None)
        parts.append(f"|g| {norm:.3g}" if norm is not None else "")
        parts.append(f"{event.samples_per_s:.0f} samples/s" if event.samples_per_s else "")
        left = self.remaining_s(event)
        parts.append(f"ETA {duration(left)}" if left is not None else "")
        parts.append(f"{number_of(event.skipped, 'steps')} not applied" if event.skipped else "")
        return "  ".join(part for part in parts if part)

    def _evaluated(self, event: Evaluated) -> str:
        values = {key.removeprefix("val/"): value for key, value in event.values.items()}
        columns = [
            c
            for c in ("iou", "accuracy", "precision")
            if f"{c}/{self._any_class(values, c)}" in values
        ]
        rows = [["class", *columns]]
        for name in self.classes:
            if any(f"{column}/{name}" in values for column in columns):
                rows.append([name, *(_cell(values.get(f"{column}/{name}")) for column in columns)])
        rest = {
            key: value
            for key, value in values.items()
            if key.split("/")[0] not in columns or "/" not in key
        }
        head = f"evaluation at step {event.step}" + (" (best so far)" if event.is_best else "")
        lines = [f"{head}: " + "  ".join(f"{key} {value:.4g}" for key, value in rest.items())]
        return "\n".join([*lines, *([table(rows)] if len(rows) > 1 and columns else [])])

    def _any_class(self, values: Mapping[str, float], column: str) -> str:
        return next((name for name in self.classes if f"{column}/{name}" in values), "")


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def finding(event: Finding) -> str:
    """Return a health finding as one line, with its advice."""
    subject = f" {event.subject}" if event.subject else ""
    advice = f" -> {event.advice}" if event.advice else ""
    return f"[{_MARKS[event.level]}] {event.rule}{subject}: {event.message}{advice}"


def lints(name: str, said: Sequence[Concern]) -> str:
    """Return what the lints say of a recipe, a line each."""
    allowed = sum(bool(each.allowed) for each in said)
    count = f"{len(said)} lint{'s' * (len(said) > 1)}"
    return "\n".join([f"{name}: {count}, {allowed} allowed", *map(str, said)])


def lints_in_short(said: Sequence[Concern]) -> str:
    """Return what the lints say of a recipe that is about to be trained; of allowed ones the names.

    Empty where they say nothing.
    """
    lines = [f"lint: {each}" for each in said if not each.allowed]
    allowed = dict.fromkeys(each.lint for each in said if each.allowed)
    if allowed:
        lines.append(f"lints that the recipe allows: {', '.join(allowed)}")
    return "\n".join(lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table whose source reads as a table too."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def rates(rows: Sequence[tuple[int, float | None, float]]) -> str:
    """Return the learning rates of a plan and of the longer one that takes its place."""
    told = [["learning rate", "plan so far", "new plan"]]
    for number, (step, before, after) in enumerate(rows):
        name = f"step {step}, where it goes on" if number == 0 else f"step {step}"
        told.append([name, "-" if before is None else f"{before:.3g}", f"{after:.3g}"])
    return table(told, indent="")


def expectation(row: Mapping[str, Any]) -> str:
    """Return a row of ``run.json``'s expectations as one line."""
    got = "was never measured" if row["got"] is None else f"is {row['got']:.4g}"
    return f"expected {row['metric']} {row['wanted']}: {got}: {'met' if row['met'] else 'NOT MET'}"


class Live:
    """Shows a training: a live line on a terminal, plain lines elsewhere."""

    def __init__(self, *, is_quiet: bool) -> None:
        self.story = Story()
        self._is_quiet = is_quiet
        self._is_live = not is_quiet and sys.stderr.isatty()
        self._progress: Any = None
        self._task: Any = None

    def __enter__(self) -> Live:
        if self._is_live:
            from rich.progress import BarColumn, Progress, TextColumn

            self._progress = Progress(
                BarColumn(bar_width=20), TextColumn("{task.description}"), transient=True
            )
            self._progress.start()
            self._task = self._progress.add_task("reading data", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def tell(self, event: Event) -> None:
        """Show an event."""
        from runner.events import Finding, Finished, Stepped

        text = self.story.tell(event)
        if not text or (self._is_quiet and not isinstance(event, Finding | Finished)):
            return
        if self._progress is None:
            note(text)
        elif isinstance(event, Stepped):
            self._progress.update(
                self._task, description=text, completed=event.step, total=self.story.steps
            )
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def live(*, is_quiet: bool = False) -> Live:
    """Return a display for one training; a context manager."""
    return Live(is_quiet=is_quiet)
