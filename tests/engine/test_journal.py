import csv
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from runner.engine import journal as journal_module
from runner.engine.journal import Journal, read_events, write_whole
from runner.errors import DataError, MachineError
from runner.events import Evaluated, Finding, Finished, Saved, Started, Stepped

PANEL = np.full((4, 6, 3), 7, np.uint8)
TRAINING = [
    Started(step=0, epoch=0.0, steps=4, epochs=4.0, steps_per_epoch=1, effective_batch=2),
    Stepped(step=1, epoch=1.0, values={"train/loss": 0.1 + 0.2, "train/lr": 1e-3}),
    Stepped(step=2, epoch=2.0, values={"train/loss": 0.25, "train/lr": 1e-4}),
    Evaluated(step=2, epoch=2.0, values={"val/miou": 0.5}, panels=(PANEL, PANEL)),
    Finding(step=2, epoch=2.0, rule="goal", level="good"),
    Saved(step=2, epoch=2.0, checkpoint="step-00000002.pt"),
    Stepped(step=3, epoch=3.0, values={"train/loss": 0.2, "train/extra": 1.0}),
    Evaluated(step=4, epoch=4.0, values={"val/miou": 0.6, "val/é": 1.5}, panels=(PANEL,)),
    Saved(step=4, epoch=4.0, checkpoint="step-00000004.pt"),
    Finished(step=4, epoch=4.0, state="done"),
]


def written(folder: Path, events) -> Journal:
    folder.mkdir(exist_ok=True)
    journal = Journal(folder)
    for event in events:
        journal.write(event)
    return journal


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fill_the_disk(monkeypatch, after_bytes=0):
    """Make every file of this module fail as on a full disk, after some bytes."""
    real = Path.open

    def opened(path, mode="r", **options):
        file = real(path, mode, **options)

        class Full:
            left = after_bytes

            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def fileno(self):
                return file.fileno()

            def write(self, content):
                if not self.left:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                count = file.write(content[: self.left])
                self.left -= count
                return count

        return Full()

    monkeypatch.setattr(journal_module.Path, "open", opened)


def test_each_event_is_a_line_at_once(tmp_path):
    journal = Journal(tmp_path)
    for count, event in enumerate(TRAINING, 1):
        journal.write(event)
        lines = (tmp_path / "events.jsonl").read_text().splitlines()
        assert len(lines) == count
        assert json.loads(lines[-1])["type"] == type(event).__name__.lower()


def test_a_row_holds_the_latest_training_values_and_the_evaluation(tmp_path):
    written(tmp_path, TRAINING)
    with (tmp_path / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["step", "epoch", "train/loss", "train/lr", "train/extra", "val/miou", "val/é"],
        ["2", "2.0", "0.25", "0.0001", "", "0.5", ""],
        ["4", "4.0", "0.2", "0.0001", "1.0", "0.6", "1.5"],
    ]


def test_panels_are_pictures_of_their_step(tmp_path):
    from PIL import Image

    written(tmp_path, TRAINING)
    names = sorted(path.name for path in (tmp_path / "panels").iterdir())
    assert names == ["step-00000002-0.png", "step-00000002-1.png", "step-00000004-0.png"]
    with Image.open(tmp_path / "panels" / names[0]) as picture:
        assert np.array_equal(np.asarray(picture), PANEL)


def test_what_is_not_finite_is_null_in_json_and_empty_in_csv(tmp_path):
    values = {"val/a": float("nan"), "val/b": float("inf"), "val/c": 1.0}
    written(tmp_path, [Evaluated(step=1, epoch=1.0, values=values)])
    text = (tmp_path / "events.jsonl").read_text()
    record = json.loads(text, parse_constant=lambda token: pytest.fail(token))
    assert record["values"] == {"val/a": None, "val/b": None, "val/c": 1.0}
    assert (tmp_path / "metrics.csv").read_text().splitlines()[1] == "1,1.0,,,1.0"


@pytest.mark.parametrize("killed_after", range(6, len(TRAINING) + 1))
def test_a_resumed_run_leaves_the_files_of_an_undisturbed_one(tmp_path, killed_after):
    written(tmp_path / "undisturbed", TRAINING)
    written(tmp_path / "killed", TRAINING[:killed_after])
    resumed = Journal(tmp_path / "killed")
    assert resumed.cut_back(2) is False
    for event in TRAINING[6:]:
        resumed.write(event)
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")


def test_a_saved_line_that_was_never_written_is_missed(tmp_path):
    written(tmp_path, TRAINING[:5])
    assert Journal(tmp_path).cut_back(2) is True
    assert len(read_events(tmp_path / "events.jsonl")) == 5


def test_the_ending_of_a_preempted_run_is_forgotten(tmp_path):
    preempted = Finished(step=2, epoch=2.0, state="preempted")
    written(tmp_path, [*TRAINING[:6], preempted])
    Journal(tmp_path).cut_back(2)
    assert [r["type"] for r in read_events(tmp_path / "events.jsonl")][-1] == "saved"


def test_cutting_back_before_all_evaluations_leaves_neither_rows_nor_panels(tmp_path):
    written(tmp_path, TRAINING)
    assert Journal(tmp_path).cut_back(1) is True
    assert list(files(tmp_path)) == ["events.jsonl"]


@pytest.mark.parametrize("torn", [b'{"type": "stepped", "st', b"\0\0\0\0", b'{"a": 1}\n{"b"\n'])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
    written(tmp_path, TRAINING[:6])
    whole = (tmp_path / "events.jsonl").read_bytes()
    if torn.startswith(b'{"a"'):
        torn = torn.split(b"\n", 1)[1]
    (tmp_path / "events.jsonl").write_bytes(whole + torn)
    Journal(tmp_path).cut_back(2)
    assert (tmp_path / "events.jsonl").read_bytes() == whole


def test_damage_within_the_events_names_the_line(tmp_path):
    written(tmp_path, TRAINING[:6])
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    lines[2] = lines[2][:-5]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"events\.jsonl:3"):
        Journal(tmp_path).cut_back(2)


def test_events_are_not_continued_before_they_are_cut_back(tmp_path):
    written(tmp_path, TRAINING[:6])
    with pytest.raises(AssertionError, match="cut it back"):
        Journal(tmp_path).write(TRAINING[6])


@pytest.mark.parametrize("room_bytes", [0, 1, 20])
def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch, room_bytes):
    journal = written(tmp_path, TRAINING[:2])
    before = files(tmp_path)
    with monkeypatch.context() as patch:
        fill_the_disk(patch, room_bytes)
        with pytest.raises(MachineError, match=r"events\.jsonl.*No space left.*--out") as raised:
            journal.write(TRAINING[2])
    assert raised.value.exit_code == 7
    assert files(tmp_path) == before
    journal.write(TRAINING[2])
    assert len(read_events(tmp_path / "events.jsonl")) == 3


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_whole(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EDQUOT, "quota")))
        with pytest.raises(MachineError, match="quota"):
            write_whole(path, b"new")
    assert files(tmp_path) == {"run.json": b"old"}
