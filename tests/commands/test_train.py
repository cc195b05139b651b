"""``runner train`` as users and schedulers see it: folders, exit codes, resume, processes."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from runner.cli import main

SMOKE = ["uav_baseline", "--smoke", "--device", "cpu", "--quiet"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNNER_MACHINE", raising=False)
    Path("machine.yaml").write_text(f"workers: 0\nruns: {tmp_path / 'runs'}\n")


def train(*words: str) -> int:
    return main(["train", *words, "--machine", "machine.yaml"])


def record(folder: str | Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((Path(folder) / "run.json").read_text())
    return found


def test_run_folder_holds_what_the_contract_says(capsys):
    assert train(*SMOKE, "--set", "train.log_every=2", "--seed", "3") == 0
    [folder] = Path("runs/uav_baseline").iterdir()
    assert str(folder) in capsys.readouterr().out
    names = {
        "run.json",
        "recipe.yaml",
        "events.jsonl",
        "metrics.csv",
        "checkpoints",
        "panels",
        "tensorboard",
    }
    assert names <= {path.name for path in folder.iterdir()}
    told = record(folder)
    assert (told["state"], told["exit_code"], told["scale"], told["seed"]) == (
        "done",
        0,
        "smoke",
        3,
    )
    assert told["overrides"] == ["train.log_every=2"]
    assert told["best"]["checkpoint"] in {path.name for path in (folder / "checkpoints").iterdir()}
    types = [
        json.loads(line)["type"] for line in (folder / "events.jsonl").read_text().splitlines()
    ]
    assert types[0] == "started"
    assert types[-1] == "finished"
    assert {"stepped", "evaluated", "saved"} <= set(types)


def test_used_folder_is_refused_and_auto_returns_at_once():
    assert train(*SMOKE, "--out", "run") == 0
    before = record("run")
    assert train(*SMOKE, "--out", "run") == 2
    assert train(*SMOKE, "--out", "run", "--resume", "auto") == 0
    assert record("run") == before


def test_auto_refuses_a_folder_of_other_values(capsys):
    assert train(*SMOKE, "--out", "run") == 0
    assert train(*SMOKE, "--out", "run", "--resume", "auto", "--seed", "9") == 2
    said = capsys.readouterr().err
    assert "holds a run of uav_baseline with train.seed 0, not 9; name another folder" in said


@pytest.fixture
def begun(monkeypatch):
    """A run on the sample in ``photos`` that was preempted after its first step."""
    assert main(["sample", "uav", "--out", "photos"]) == 0
    words = [*SMOKE, "--data", "photos", "--out", "run", "--resume", "auto"]
    with monkeypatch.context() as patch:
        patch.setattr("runner.commands.train._stop_on_signals", lambda: nullcontext(lambda: True))
        assert train(*words) == 75
    return words


def test_a_resume_tells_where_it_goes_on(begun, capsys):
    assert train(*begun) == 0
    assert "going on after step 1 of 2" in capsys.readouterr().err


def test_data_that_have_changed_are_not_trained_on_further(begun, capsys):
    """A run is one training on one data set; its record says which."""
    was = record("run")["data_fingerprint"]
    next(iter(sorted(Path("photos/original_images").iterdir()))).unlink()
    next(iter(sorted(Path("photos/label_images_semantic").iterdir()))).unlink()
    assert train(*begun) == 3
    assert "run: data: its data are not those it was begun with" in capsys.readouterr().err
    assert record("run")["data_fingerprint"] == was


def test_events_that_were_lost_are_written_anew_from_the_checkpoint(begun, capsys):
    before = [json.loads(line) for line in Path("run/events.jsonl").read_text().splitlines()]
    Path("run/events.jsonl").unlink()
    assert train(*begun) == 0
    assert "events.jsonl lacked events" in capsys.readouterr().err
    after = [json.loads(line) for line in Path("run/events.jsonl").read_text().splitlines()]
    assert [e for e in after if e["step"] == 1 and e["type"] != "saved"] == [
        e for e in before if e["step"] == 1 and e["type"] not in ("saved", "finished")
    ]
    assert [event["type"] for event in after].count("started") == 1
    rows = Path("run/metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2"]


def test_a_run_whose_events_were_lost_can_be_extended(begun):
    Path("run/events.jsonl").unlink()
    assert train(*begun) == 0
    longer = ["--extend", "run", "--set", "train.compress_to_steps=4", "--out", "longer"]
    assert main(["train", *longer, "--quiet", "--machine", "machine.yaml"]) == 0
    assert record("longer")["state"] == "done"


def test_a_run_that_has_no_checkpoint_yet_begins_again_on_the_data_that_there_are(begun):
    for path in Path("run/checkpoints").iterdir():
        path.unlink()
    was = record("run")["data_fingerprint"]
    for folder in ("original_images", "label_images_semantic"):
        next(iter(sorted(Path("photos", folder).iterdir()))).unlink()
    assert train(*begun) == 0
    assert record("run")["data_fingerprint"] != was


def test_resume_takes_no_other_values(capsys):
    assert train(*SMOKE, "--out", "run") == 0
    assert main(["train", "--resume", "run", "--seed", "9"]) == 2
    assert "leave out seed" in capsys.readouterr().err
    assert main(["train", "--resume", "nowhere"]) == 2


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_wrong_data_exit_3_and_leave_no_folder(name, capsys):
    Path("empty").mkdir()
    assert train(*SMOKE, "--data", name, "--out", "run") == 3
    assert name in capsys.readouterr().err
    assert not Path("run").exists()


def test_device_that_is_not_there_exits_7(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert train("uav_baseline", "--smoke", "--device", "cuda") == 7
    assert "--device cpu" in capsys.readouterr().err


def test_folder_that_cannot_be_written_exits_7(capsys):
    Path("file").write_text("")
    assert train(*SMOKE, "--out", "file/run") == 7
    assert "file/run" in capsys.readouterr().err


def test_unmet_expectation_exits_4_only_when_strict():
    draft = "extends: uav_baseline\nexpect: [{metric: val/miou, min: 2.0, scale: smoke}]\n"
    Path("hope.yaml").write_text(draft)
    words = ["hope.yaml", *SMOKE[1:]]
    assert train(*words, "--out", "mild") == 0
    assert train(*words, "--out", "strict", "--strict") == 4
    for folder in ("mild", "strict"):
        [row] = record(folder)["expectations"]
        assert (row["metric"], row["wanted"], row["met"]) == ("val/miou", ">= 2", False)


def test_critical_rule_that_stops_exits_5():
    draft = (
        "extends: uav_baseline\n"
        "health: {dead_class: {grace: 0.0, at_most: 0.99, stops: true, scale: smoke}}\n"
    )
    Path("frail.yaml").write_text(draft)
    assert train("frail.yaml", *SMOKE[1:], "--out", "run") == 5
    told = record("run")
    assert (told["state"], told["exit_code"]) == ("stopped", 5)
    assert train("frail.yaml", *SMOKE[1:], "--out", "run", "--resume", "auto") == 5


def test_smoke_test_says_nothing_of_health_and_all_the_same_of_what_is_not_finite(capsys):
    draft = (
        "extends: uav_baseline\n"
        "health:\n"
        "  dead_class: {grace: 0.0, at_most: 0.99}\n"
        "  loss_below: {below: 0.0, by_epoch: 0.001}\n"
    )
    Path("frail.yaml").write_text(draft)
    words = ["frail.yaml", "--smoke", "--device", "cpu"]
    assert train(*words, "--out", "run") == 0
    told = capsys.readouterr().err
    assert "evaluation at step 2" in told
    assert not any(mark in told for mark in ("[CRITICAL]", "[WARNING]", "[good]"))
    assert record("run")["health"] == {"good": 0, "warning": 0, "critical": 0}
    sets = ["--set", "train.lr_scale=1e38", "--set", "train.compress_to_steps=8"]
    assert train(*words, *sets, "--out", "spoilt") == 5
    assert "[CRITICAL] non_finite" in capsys.readouterr().err


@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGTERM],
        [signal.SIGINT],
        [signal.SIGUSR1],
        [signal.SIGUSR1, signal.SIGINT, signal.SIGTERM, signal.SIGTERM],
    ],
)
def test_signals_to_the_process_group_preempt_a_run(numbers):
    """As ``timeout``, schedulers and terminals send them: to the loader's workers, too."""
    Path("machine.yaml").write_text("workers: 2\n")
    steps = ["--set", "train.compress_to_steps=400", "--set", "train.log_every=1"]
    words = [sys.executable, "-m", "runner", "train", *SMOKE, *steps, "--out", "run"]
    words += ["--resume", "auto", "--machine", "machine.yaml"]
    process = subprocess.Popen(words, start_new_session=True)
    deadline = time.monotonic() + 120
    events = Path("run/events.jsonl")
    while not (events.exists() and "stepped" in events.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for number in numbers:
        os.killpg(process.pid, number)
        time.sleep(0.01)
    assert process.wait(60) == 75
    told = record("run")
    assert (told["state"], told["exit_code"]) == ("preempted", 75)
    assert list(Path("run/checkpoints").glob("step-*.pt"))


def test_only_a_second_ctrl_c_interrupts_at_once():
    from runner.commands.train import _stop_on_signals

    with _stop_on_signals() as asked:
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


FAULTY = """
import sys
from runner.cli import main
from runner.tasks.segmentation import Segmentation

def fault(*_):
    raise {error}

Segmentation.losses = fault
sys.exit(main(["train", *sys.argv[1:], "--out", "run", "--machine", "machine.yaml"]))
"""


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [("ValueError('a bug')", "failed", 1), ("KeyboardInterrupt", "preempted", 75)],
)
def test_a_run_that_fails_waits_for_no_worker_and_says_how_it_exited(error, state, code):
    Path("machine.yaml").write_text("workers: 2\n")
    words = [sys.executable, "-c", FAULTY.format(error=error), *SMOKE]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert done.returncode == code, done.stderr
    told = record("run")
    assert (told["state"], told["exit_code"]) == (state, code)


SHORT = """
from runner.contracts import Sampler, Split
from runner.registry import samplers

class Short:
    def __len__(self):
        return 4

    def epoch(self, number, generator):
        yield 0, None

@samplers.register
def short(split: Split, batch_size: int, /) -> Sampler:
    \"""Draws less than it says.\"""
    return Short()
"""


def test_a_sampler_that_fails_as_the_workers_start_does_not_keep_them():
    Path("machine.yaml").write_text("workers: 2\n")
    Path("short.py").write_text(SHORT)
    words = [sys.executable, "-m", "runner", "train", *SMOKE, "--out", "run"]
    words += ["--plugin", "short.py", "--set", "sampler={name: short}", "--machine", "machine.yaml"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "draws 1 samples in epoch 0, its length is 4" in done.stderr


FROZEN = """
from torch import nn
from runner.contracts import DataSpec
from runner.registry import models

@models.register
def frozen(spec: DataSpec, /) -> nn.Module:
    \"""Learns nothing.\"""
    return nn.Conv2d(3, len(spec.classes), 1).requires_grad_(False)
"""


@pytest.mark.usefixtures("plugins_forgotten")
def test_a_model_without_a_trained_parameter_exits_2(capsys):
    Path("frozen.py").write_text(FROZEN)
    words = [*SMOKE, "--plugin", "frozen.py", "--set", "task.params.model={name: frozen}"]
    assert train(*words, "--out", "run") == 2
    assert "task: has no parameter to train" in capsys.readouterr().err


@pytest.mark.parametrize("heard", ["scale", "step 3/"])
def test_a_training_that_nobody_reads_any_longer_is_preempted(heard):
    """As ``| head`` does it: its end is no success, and no fault."""
    steps = ["--set", "train.compress_to_steps=400", "--set", "train.log_every=1"]
    words = [sys.executable, "-m", "runner", "train", *SMOKE[:-1], *steps, "--out", "run"]
    words += ["--machine", "machine.yaml"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        assert any(heard in line for line in process.stdout)
        process.stdout.close()
        assert process.wait(60) == 75
    if heard != "scale":
        told = record("run")
        assert (told["state"], told["exit_code"]) == ("preempted", 75)
        assert "nobody reads" in told["reason"]
        assert main(["train", "--resume", "run", "--quiet", "--machine", "machine.yaml"]) == 0


def test_run_folder_in_use_exits_6():
    from runner.engine.folder import RunFolder, RunRecord

    with RunFolder.create(Path("run"), RunRecord(id="a", recipe="b"), "x: 1\n"):
        assert main(["train", "--resume", "run"]) in (2, 6)
        Path("run/recipe.yaml").write_text(Path(_flat()).read_text())
        assert main(["train", "--resume", "run"]) == 6


def _flat() -> str:
    assert train(*SMOKE, "--out", "other") == 0
    return "other/recipe.yaml"


def test_damaged_checkpoint_is_named_and_the_one_before_is_used(capsys):
    assert train(*SMOKE, "--out", "run") == 0
    whole = (Path("run/checkpoints/step-00000002.pt")).read_bytes()
    Path("run/checkpoints/step-00000002.pt").write_bytes(whole[: len(whole) // 2])
    told = record("run")
    told.update(state="running", exit_code=None)
    Path("run/run.json").write_text(json.dumps(told))
    capsys.readouterr()
    assert main(["train", "--resume", "run", "--quiet", "--machine", "machine.yaml"]) == 0
    said = capsys.readouterr().err
    assert "step-00000002.pt" in said
    assert "damaged" in said
    assert record("run")["state"] == "done"


def test_two_processes_train_one_run():
    words = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "runner",
        "train",
        *SMOKE,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *words, "--out", "run", "--machine", "machine.yaml"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert record("run")["state"] == "done"
    alone = [*SMOKE, "--out", "alone"]
    assert train(*alone) == 0

    def row(folder: str) -> dict[str, float]:
        lines = [json.loads(line) for line in Path(folder, "events.jsonl").read_text().splitlines()]
        return next(each for each in lines if each["type"] == "evaluated")["values"]

    # Every term is a mean over pixels or a Dice over the batch: the same, up to rounding.
    assert row("run") == pytest.approx(row("alone"), rel=1e-3, abs=1e-4)
