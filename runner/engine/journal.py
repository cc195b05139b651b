"""What a run leaves to read, written event by event: events.jsonl, metrics.csv and panels.

``metrics.csv`` follows from ``events.jsonl`` alone, so that after a resume both are what an
undisturbed run would have written.
"""

import csv
import io
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.errors import DataError, MachineError, Problem
from runner.events import Evaluated, Event, Started, Stepped

_ORDER = {"stepped": 0, "evaluated": 1, "finding": 2}


def finite(value: Any) -> Any:
    """Return plain data as JSON can say it: NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def machine_error(error: OSError, path: Path) -> MachineError:
    """Return the error of a file that could not be written, with its cure."""
    reason = error.strerror or str(error)
    message = f"cannot be written: {reason}; free space or put the run elsewhere with --out"
    return MachineError(Problem(str(path), "", message))


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step: whoever reads it sees the old content or the new.

    Raises: MachineError: the disk is full or the folder not writable; the old file is untouched.
    """
    beside = path.with_name(f".{path.name}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise machine_error(error, path) from error


def append(path: Path, content: bytes, *, lasting: bool = False) -> None:
    """Add to the end of a file, all or nothing.

    Args:
        path: the file; made where there is none.
        content: what to add.
        lasting: whether it shall survive a power cut from now on, which costs milliseconds.

    Raises: MachineError: the disk is full or the folder not writable; the file is as it was.
    """
    try:
        with path.open("ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                # Half a line would hide what comes after it.
                os.ftruncate(file.fileno(), size)
                raise
            if lasting:
                os.fsync(file.fileno())
    except OSError as error:
        raise machine_error(error, path) from error


class Journal:
    """The readable record of a run; one process at a time writes it.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self.events_path = folder / "events.jsonl"
        self.metrics_path = folder / "metrics.csv"
        self.panels_path = folder / "panels"
        self._columns: list[str] = []
        self._rows: list[dict[str, Any]] = []
        self._trained: dict[str, Any] = {}
        self._is_cut_back = False

    def write(self, event: Event) -> None:
        """Append an event; an evaluation also adds a row of metrics and its panels.

        Raises: MachineError: the disk is full; what was there stays whole.
        """
        if not self._is_cut_back:
            assert not self.events_path.exists(), (
                f"{self.events_path} is continued: cut it back first"
            )
            self._is_cut_back = True
        record = finite(event.record())
        # A picture that is there twice does no harm, an event whose picture is missing does.
        if isinstance(event, Evaluated):
            for number, panel in enumerate(event.panels):
                self._write_panel(event.step, number, panel)
        line = json.dumps(record, allow_nan=False, ensure_ascii=False) + "\n"
        # Logging steps are many; what is rare also survives a power cut.
        append(self.events_path, line.encode(), lasting=not isinstance(event, Stepped))
        if self._follow(record):
            self._write_row()

    def fill_in(self, beginning: Started, remembered: Sequence[Event]) -> bool:
        """Write the events anew that a checkpoint remembers, where the file lacks some of them.

        Args:
            beginning: of a run of this plan; what the file says of its own beginning is kept.
            remembered: logging steps, evaluations and findings up to the checkpoint.
        Returns: whether it lacked some; which checkpoints were saved is forgotten then.
        Raises: DataError: ``events.jsonl`` is damaged elsewhere than in its last line.
        """
        kept = read_events(self.events_path)
        wanted = [finite(event.record()) for event in remembered]
        there = Counter((record["type"], record["step"]) for record in kept)
        lacks = Counter((record["type"], record["step"]) for record in wanted) - there
        records = [record for record in kept if record["type"] == "started"]
        if records and not lacks:
            return False
        records = records or [finite(beginning.record())]
        records += sorted(wanted, key=lambda record: (record["step"], _ORDER[record["type"]]))
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        write_whole(self.events_path, "".join(lines).encode())
        return True

    def cut_back(self, step: int) -> bool:
        """Forget what came after the checkpoint of a step, for a resume from it.

        Keeps the events up to the line that says that this checkpoint was saved; where that line
        is missing, those of the step and before, but no ending.

        Returns: whether that line is missing.
        Raises: DataError: ``events.jsonl`` is damaged elsewhere than in its last line.
        """
        records = read_events(self.events_path)
        kept = [r for r in records if r["step"] <= step and r["type"] != "finished"]
        saved = [n for n, r in enumerate(records) if r["type"] == "saved" and r["step"] == step]
        if saved:
            kept = [r for r in records[: saved[-1] + 1] if r["type"] != "finished"]
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in kept]
        write_whole(self.events_path, "".join(lines).encode())
        self._columns, self._rows, self._trained = [], [], {}
        for record in kept:
            self._follow(record)
        if self._rows:
            self._rewrite_metrics()
        else:
            self.metrics_path.unlink(missing_ok=True)
        self._is_cut_back = True
        evaluated = {record["step"] for record in kept if record["type"] == "evaluated"}
        for panel in self.panels_path.glob("step-*-*.png"):
            if int(panel.stem.split("-")[1]) not in evaluated:
                panel.unlink()
        return not saved

    def _follow(self, record: Mapping[str, Any]) -> bool:
        """Take a record into the table of metrics; return whether it made a row."""
        if record["type"] == "stepped":
            self._trained.update(record["values"])
        if record["type"] != "evaluated":
            return False
        row = {"step": record["step"], "epoch": record["epoch"], **self._trained}
        self._rows.append({**row, **record["values"]})
        return True

    def _write_row(self) -> None:
        row = self._rows[-1]
        if all(name in self._columns for name in row):
            append(self.metrics_path, _csv([self._cells(row)]))
        else:
            self._rewrite_metrics()

    def _rewrite_metrics(self) -> None:
        names = dict.fromkeys(name for row in self._rows for name in row)
        # Steps first, training next, validation last, each in the order of appearance.
        group = {"step": 0, "epoch": 1}
        self._columns = sorted(
            names, key=lambda name: group.get(name, 2 if name.startswith("train/") else 3)
        )
        rows = [self._columns, *map(self._cells, self._rows)]
        write_whole(self.metrics_path, _csv(rows))

    def _cells(self, row: Mapping[str, Any]) -> list[Any]:
        return [row.get(name) for name in self._columns]

    def _write_panel(self, step: int, number: int, panel: Any) -> None:
        from PIL import Image

        picture = io.BytesIO()
        Image.fromarray(panel).save(picture, format="png")
        try:
            self.panels_path.mkdir(exist_ok=True)
        except OSError as error:
            raise machine_error(error, self.panels_path) from error
        write_whole(self.panels_path / f"step-{step:08d}-{number}.png", picture.getvalue())


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return the records of an ``events.jsonl``, without a last line that was torn.

    Raises: DataError: another line is no record.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            message = "is no record of an event; restore the file from a copy, or delete the line"
            raise DataError(Problem(f"{path}:{number}", "", message)) from error
    return records


def _csv(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
