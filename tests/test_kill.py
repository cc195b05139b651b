"""Killed at any moment and started again by the same command, a run ends as if undisturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from runner.engine.checkpoint import load

STEPS = 24


def command(out: Path, machine: Path) -> list[str]:
    sets = [f"train.compress_to_steps={STEPS}", "train.log_every=2", "train.ema={decay: 0.9}"]
    sets += ["train.accumulate=2", "train.evaluate_every.epochs=2"]
    words = [sys.executable, "-m", "runner", "train", "uav_corrected", "--resume", "auto"]
    words += ["--out", str(out), "--machine", str(machine), "--device", "cpu", "--quiet"]
    return words + [word for each in sets for word in ("--set", each)]


def start(words: list[str]) -> subprocess.Popen[bytes]:
    # A process group of its own: its loader workers are killed with it, as on a lost machine.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with Path(words[words.index("--out") + 1] + ".log").open("ab") as log:
        return subprocess.Popen(
            words, env=environment, start_new_session=True, stdout=log, stderr=log
        )


def left_behind(out: Path) -> tuple[dict[str, torch.Tensor], str, list[dict[str, object]], str]:
    checkpoint = load(out / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.step == STEPS
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    for event in events:
        del event["time_s"]
    best = (out / "checkpoints" / "best").read_text()
    assert (out / "checkpoints" / best.strip()).is_file()
    return checkpoint.state["task"], (out / "metrics.csv").read_text(), events, best


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_killed_at_random_moments_the_run_ends_the_same(tmp_path, kills):
    machine = tmp_path / "machine.yaml"
    machine.write_text(f"workers: 2\ncache: {tmp_path / 'cache'}\n")
    began = time.monotonic()
    undisturbed = start(command(tmp_path / "whole", machine))
    assert undisturbed.wait(300) == 0, (tmp_path / "whole.log").read_text()
    whole_s = time.monotonic() - began
    weights, metrics, events, best = left_behind(tmp_path / "whole")

    chance, done, runs = random.Random(0), 0, 0
    while done < kills or runs == 0:
        out = tmp_path / f"killed-{runs}"
        while True:
            process = start(command(out, machine))
            if done >= kills:
                assert process.wait(300) == 0, Path(f"{out}.log").read_text()
                break
            try:
                assert process.wait(chance.uniform(0.1, whole_s)) == 0, Path(
                    f"{out}.log"
                ).read_text()
                break
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                done += 1
        runs += 1
        again, its_metrics, its_events, its_best = left_behind(out)
        assert its_best == best
        assert its_metrics == metrics
        assert its_events == events
        assert again.keys() == weights.keys()
        assert all(torch.equal(again[name], weights[name]) for name in weights)
