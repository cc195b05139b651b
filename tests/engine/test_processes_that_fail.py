"""What goes wrong in one of two processes is what run.json and both exit codes say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from two_processes import run_two

# The second step's forward pass, or the loading of its batch, fails in the second process.
SCRIPT = """
import os, signal, sys
import torch
from runner.cli import main
from runner.data.segmentation.split import CropSplit
from runner.errors import DataError, Problem
from runner.tasks.segmentation import Segmentation

def out_of_memory():
    raise torch.OutOfMemoryError("CUDA out of memory")

def bad_item():
    raise DataError(Problem("image_7.jpg", "", "is truncated; replace the file"))

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def bug():
    raise KeyError("a bug of ours")

def lost_connection():
    raise RuntimeError("reading s3://x: Connection reset by peer")

def interrupted():
    raise KeyboardInterrupt

def failing(method, fault):
    calls = []
    def called(*given):
        calls.append(given)
        return fault() if len(calls) > 1 else method(*given)
    return called

fault, out = sys.argv[1:]
if os.environ["RANK"] == "1":
    if fault == "bad_item":
        CropSplit.load = failing(CropSplit.load, bad_item)
    else:
        Segmentation.losses = failing(Segmentation.losses, globals()[fault])
sys.exit(main([
    "train", "uav_fixed", "--smoke", "--device", "cpu", "--quiet", "--machine", "machine.yaml",
    "--out", out, "--set", "train.batch_size=2",
]))
"""


@pytest.mark.parametrize(
    ("fault", "codes", "reason"),
    [
        ("bad_item", [3, 3], "image_7.jpg: is truncated; replace the file"),
        ("out_of_memory", [7, 7], "train.batch_size: out of memory; train.batch_size: 1 and"),
        ("killed", [7, -9], "ended without a word; the system kills what takes too much memory"),
        ("bug", [1, 1], "in process 1: KeyError: 'a bug of ours'"),
        ("lost_connection", [1, 1], "in process 1: RuntimeError: reading s3://x: Connection"),
        ("interrupted", [1, 75], "in process 1: KeyboardInterrupt"),
    ],
)
def test_a_fault_of_one_process_is_what_the_run_says(
    tmp_path: Path, fault: str, codes: list[int], reason: str
) -> None:
    (tmp_path / "machine.yaml").write_text("workers: 1\n")
    ended = run_two(SCRIPT, fault, str(tmp_path / "run"), cwd=tmp_path)
    assert [code for code, _ in ended] == codes, ended
    for code, error in ended:
        assert ("Traceback" in error) == (code == 1), error
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (run["state"], run["exit_code"]) == ("failed", codes[0])
    assert reason in run["reason"]
