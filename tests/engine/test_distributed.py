"""Two real processes on the CPU train as one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import tiny_run
from two_processes import run_two

from runner.engine.distributed import Processes, start_processes
from runner.engine.loop import train
from runner.errors import MachineError
from runner.events import Evaluated, Stepped

SCRIPT = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tiny_training import tiny_run
from runner.engine.checkpoint import load
from runner.engine.distributed import start_processes, stop_processes
from runner.engine.loop import restore, train
processes = start_processes("cpu")
for name, settings in json.loads(sys.argv[2]):
    out = Path(sys.argv[1], name)
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    stop_rank, stop_step = settings.pop("stop", (None, None))
    calls = iter(range(1, 1000))
    stops = lambda: next(calls) == stop_step and processes.rank == stop_rank
    run = tiny_run(out / "checkpoints", processes=processes, stop_requested=stops, **settings)
    processes.gather("before the first checkpoint is written, both have looked for one")
    loaded = load(out / "checkpoints")
    torch.manual_seed(processes.rank)
    if loaded:
        restore(run, loaded.state)
    records = [event.record() for event in train(run)]
    (out / f"events-{processes.rank}.json").open("a").write(json.dumps(records) + "\\n")
    torch.save(run.task.state_dict(), out / f"weights-{processes.rank}.pt")
stop_processes()
names = [(task / "comm").read_text() for task in Path("/proc/self/task").glob("*")]
Path(sys.argv[1], f"threads-{processes.rank}.json").write_text(json.dumps(names))
"""

ONE_BATCH = {"batch_size": 4, "accumulate": 1, "plan": {"steps": 3, "log_every": 1}}
ACCUMULATED = {"batch_size": 2, "accumulate": 3, "plan": {"steps": 6, "log_every": 1}}
# 11 = 10 + 1: the second process has no sample in the last batch of an epoch.
UNEVEN = {"batch_size": 10, "accumulate": 1, "plan": {"steps": 4, "log_every": 1}}
EQUAL = {"one_batch": ONE_BATCH, "accumulated": ACCUMULATED, "uneven": UNEVEN}
NOISY = {"batch_size": 2, "plan": {"steps": 7, "log_every": 2}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All the trainings of this module, by one pair of processes: starting one takes seconds."""
    out = tmp_path_factory.mktemp("two")
    trainings = [(name, {"is_plain": True, **settings}) for name, settings in EQUAL.items()]
    trainings += [("whole", NOISY), ("broken", {**NOISY, "stop": [1, 5]}), ("broken", NOISY)]
    ended = run_two(SCRIPT, str(out), json.dumps(trainings))
    assert [code for code, _ in ended] == [0, 0], ended
    return out


def told(out: Path, rank: int = 0, nth: int = 0) -> list[dict[str, Any]]:
    lines = (out / f"events-{rank}.json").read_text().splitlines()
    return json.loads(lines[nth])  # type: ignore[no-any-return]


def weights(out: Path, rank: int) -> dict[str, torch.Tensor]:
    return torch.load(out / f"weights-{rank}.pt", weights_only=True)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", EQUAL)
def test_two_processes_train_as_one_with_the_whole_batch(folder: Path, name: str) -> None:
    run = tiny_run(is_plain=True, **EQUAL[name])
    events = list(train(run))
    for rank in (0, 1):
        for key, value in run.task.state_dict().items():
            found = weights(folder / name, rank)[key]
            torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-6)
    for kind, key in ((Stepped, "stepped"), (Evaluated, "evaluated")):
        expected = [event.values for event in events if isinstance(event, kind)]
        logged = [record["values"] for record in told(folder / name) if record["type"] == key]
        assert len(logged) == len(expected) > 0
        for one, other in zip(logged, expected, strict=True):
            assert one == pytest.approx(dict(other), rel=1e-3)


def test_only_the_first_process_speaks(folder: Path) -> None:
    assert told(folder / "whole")
    assert told(folder / "whole", rank=1) == []


def test_a_stop_asked_of_one_process_stops_both_after_that_step(folder: Path) -> None:
    last = told(folder / "broken")[-1]
    assert (last["state"], last["step"]) == ("preempted", 5)


def test_resume_of_two_processes_is_bit_exact(folder: Path) -> None:
    wanted = [r["values"] for r in told(folder / "whole") if "values" in r and r["step"] > 5]
    assert [r["values"] for r in told(folder / "broken", nth=1) if "values" in r] == wanted
    for rank in (0, 1):
        broken = weights(folder / "broken", rank)
        for name, value in weights(folder / "whole", rank).items():
            # The first process's statistics are the task's; the others' are overwritten by them.
            if rank == 0 or "running" not in name:
                assert torch.equal(value, broken[name]), name


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="names of threads, as Linux has")
@pytest.mark.parametrize("rank", [0, 1])
def test_no_thread_of_the_group_outlives_it(folder: Path, rank: int) -> None:
    # One that drops its last tensor while the interpreter ends takes the process down: SIGABRT.
    names = json.loads((folder / f"threads-{rank}.json").read_text())
    assert names
    assert not [name for name in names if "gloo" in name]


def test_one_process_needs_no_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    processes = start_processes("cpu")
    assert processes == Processes(0, 1, 0)
    assert processes.gather("x") == ["x"]
    assert processes.any(True)
    assert not processes.any(False)


@pytest.mark.parametrize(
    ("local_rank", "message"),
    [
        ("1", "cuda:1: process 1 of this machine has no device: 1 present; start torchrun with"),
        (
            None,
            "LOCAL_RANK: is not set, and says which device a process takes; start with torchrun",
        ),
    ],
)
def test_each_process_is_told_its_device(
    monkeypatch: pytest.MonkeyPatch, local_rank: str | None, message: str
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if local_rank is not None:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    with pytest.raises(MachineError, match=message):
        start_processes("cuda")


RESTARTED = """
import os, pickle
from torch.distributed import TCPStore
from runner.engine.distributed import start_processes, stop_processes
kept = TCPStore("127.0.0.1", int(os.environ["MASTER_PORT"]), is_master=os.environ["RANK"] == "0")
kept.set("runner/word/" + os.environ["RANK"], pickle.dumps(KeyError("of the first attempt")))
os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # As torchrun, whose store this one is.
processes = start_processes("cpu")
told = processes.why_alone(RuntimeError("gloo/transport/tcp/pair.cc: Connection closed by peer"))
assert "without a word" in str(told), told
processes.gather("neither has left, and the store with it, before the other has looked")
stop_processes()
"""


def test_processes_that_are_started_anew_forget_the_words_of_those_before() -> None:
    ended = run_two(RESTARTED)
    assert [code for code, _ in ended] == [0, 0], ended


def test_a_connection_that_is_not_of_the_processes_is_no_loss_of_one() -> None:
    processes = Processes(rank=0, world=2, store=object())
    assert processes.why_alone(RuntimeError("s3://x: Connection reset by peer")) is None
