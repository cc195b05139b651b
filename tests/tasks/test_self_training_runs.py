"""Recipes that learn from pseudo-labels, trained: resumed half-way, and by two processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from runner.engine.checkpoint import load as load_checkpoint
from runner.engine.request import Request
from runner.engine.session import Session
from runner.events import Stepped
from runner.language.load import load
from runner.language.machine import Machine

STEPS = 4


def trained(out: Path, recipe: str, cache: Path, *, stops_after: int = 0, resumes: bool = False):
    calls = iter(range(1, 100))
    request = Request(
        loaded=load(recipe, sets=[f"train.compress_to_steps={STEPS}"], is_smoke=True),
        machine=Machine(workers=0, cache=str(cache)),
        out=out,
        device="cpu",
        trackers=(),
        resumes=resumes,
        stop_requested=lambda: next(calls) == stops_after,
    )
    events = list(Session(request).events())
    return events, load_checkpoint(out / "checkpoints").state


def tensors(state: Any, name: str = "") -> dict[str, torch.Tensor]:
    """Return every tensor of a checkpoint by its place."""
    if isinstance(state, torch.Tensor):
        return {name: state}
    if not isinstance(state, dict | list | tuple):
        return {}
    items = state.items() if isinstance(state, dict) else enumerate(state)
    return {k: v for key, each in items for k, v in tensors(each, f"{name}/{key}").items()}


@pytest.mark.parametrize("recipe", ["s4gan_gan", "s4gan_corrected"])
def test_resume_is_bit_exact(recipe, tmp_path):
    events, whole = trained(tmp_path / "whole", recipe, tmp_path / "cache")
    trained(tmp_path / "broken", recipe, tmp_path / "cache", stops_after=2)
    _, resumed = trained(tmp_path / "broken", recipe, tmp_path / "cache", resumes=True)
    wanted, found = (
        tensors({k: s[k] for k in ("task", "optimizers", "ema")}) for s in (whole, resumed)
    )
    assert wanted.keys() == found.keys()
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())
    logged = [event.values for event in events if isinstance(event, Stepped)]
    told = {"train/pseudo/accepted", "train/miou"}
    if recipe == "s4gan_gan":
        told |= {"train/discriminator/accuracy", "train/loss/discriminator", "train/loss/matching"}
        told |= {"train/grad_norm/generator", "train/grad_norm/discriminator"}
        assert list(whole["optimizers"]) == ["generator", "discriminator"]
    assert len(logged) == STEPS
    assert all(told <= values.keys() for values in logged)


SCRIPT = """
import sys
from dataclasses import replace
import torch
from torch.nn.parallel import DistributedDataParallel
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
import test_adversarial, test_self_training
from runner.engine.distributed import start_processes, stop_processes
processes = start_processes("cpu")
for of in (test_adversarial, test_self_training):
    task = of.task_of()
    model = DistributedDataParallel(task)
    for step in range(3):
        batch = of.batch_of()
        image = batch.image.roll(step + 7 * processes.rank, -1)
        terms = model(replace(batch, image=image), of.NOW)
        task.zero_grad()
        sum(terms.values()).backward()
        with torch.no_grad():
            for parameter in task.parameters():
                if parameter.requires_grad:
                    assert parameter.grad.any(), "a group was not reached"
                    parameter -= 0.1 * parameter.grad
        task.after_step(of.NOW)
    flat = torch.cat([p.detach().flatten() for p in task.parameters()])
    first, second = processes.gather(flat)
    assert torch.equal(first, second), "processes have drifted apart"
stop_processes()
"""


def test_two_processes_keep_both_groups_and_the_teacher_alike():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    here = Path(__file__).parent
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(here)],
            env={**os.environ, **where, "RANK": rank, "LOCAL_RANK": rank},
            cwd=here.parents[1],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    errors = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], errors
