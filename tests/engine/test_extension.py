"""A longer plan goes on from a run's last checkpoint, in a folder of its own."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from runner.cli import main
from runner.engine.checkpoint import load as load_checkpoint
from runner.engine.extension import begin_extension, plan_extension
from runner.engine.folder import RunFolder, read_run
from runner.engine.journal import read_events
from runner.language.load import load

SMOKE = ["uav_baseline", "--smoke", "--device", "cpu", "--quiet"]
FOUR = ["--set", "train.compress_to_steps=4"]
EIGHT = ["--set", "train.compress_to_steps=8"]


def train(*words: str) -> int:
    return main(["train", *words, "--machine", "machine.yaml"])


def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("RUNNER_MACHINE", raising=False)
    Path("machine.yaml").write_text("workers: 0\n")


@pytest.fixture(scope="module")
def four_steps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        in_folder(folder, patch)
        assert train(*SMOKE, *FOUR, "--out", "run") == 0
    return folder / "run"


@pytest.fixture
def origin(four_steps, tmp_path, monkeypatch):
    in_folder(tmp_path, monkeypatch)
    shutil.copytree(four_steps, "run")
    return Path("run")


def extend(*words: str) -> int:
    return train("--extend", "run", "--device", "cpu", "--quiet", "--out", "longer", *words)


def test_new_plan_goes_on_from_the_last_checkpoint(origin, capsys):
    before = (origin / "run.json").read_text()
    assert extend(*EIGHT) == 0
    said = capsys.readouterr().err
    assert said.index("learning rate") < said.index("scale smoke") < said.index("done at step 8")
    record = read_run(Path("longer"))
    assert record.extended_from == {"run": read_run(origin).id, "step": 4}
    assert record.overrides == ["train.compress_to_steps=4", "train.compress_to_steps=8"]
    assert record.state == "done"
    events = read_events(Path("longer/events.jsonl"))
    assert (events[0]["type"], events[0]["steps"]) == ("started", 8)
    assert [e["step"] for e in events if e["type"] == "stepped"] == list(range(1, 9))
    assert (origin / "run.json").read_text() == before


def test_first_new_step_starts_from_the_old_weights_and_optimizer(origin):
    after = load("run", sets=["train.compress_to_steps=8"])
    extension = plan_extension(origin, after, ["train.compress_to_steps=8"])
    begin_extension(extension, Path("longer"), {})
    old, new = (load_checkpoint(Path(name) / "checkpoints").state for name in ("run", "longer"))
    assert new["run_fingerprint"] == after.run_fingerprint()
    for name, value in old["task"].items():
        assert torch.equal(value, new["task"][name])
    assert str(old["optimizers"]) == str(new["optimizers"])


def test_killed_before_its_first_step_it_is_resumed(origin):
    after = load("run", sets=["train.compress_to_steps=8"])
    begin_extension(plan_extension(origin, after, []), Path("longer"), {})
    assert train("--resume", "longer", "--quiet", "--device", "cpu") == 0
    assert extend_in("other", *EIGHT) == 0
    one, other = (
        load_checkpoint(Path(name) / "checkpoints").state["task"] for name in ("longer", "other")
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def extend_in(out: str, *words: str) -> int:
    return train("--extend", "run", "--device", "cpu", "--quiet", "--out", out, *words)


def test_rates_of_both_plans_are_told_step_by_step(origin):
    after = load("run", sets=["train.compress_to_steps=8"])
    rates = plan_extension(origin, after, []).rates()
    assert [step for step, _, _ in rates] == [4, 5, 6, 7]
    (_, last, first_new), *later = rates
    # Of a cosine from 1e-3 to 1e-5: three quarters on, and half way.
    assert last == pytest.approx(1e-5 + 0.99e-3 * (1 - 0.5**0.5) / 2)
    assert first_new == pytest.approx((1e-3 + 1e-5) / 2)
    assert all(before is None for _, before, _ in later)


def test_told_rate_is_the_rate_it_is_trained_with(origin):
    after = load("run", sets=["train.compress_to_steps=8"])
    rates = {step: rate for step, _, rate in plan_extension(origin, after, []).rates()}
    assert extend(*EIGHT) == 0
    stepped = [e for e in read_events(Path("longer/events.jsonl")) if e["type"] == "stepped"]
    trained = {event["step"] - 1: event["values"]["train/lr"] for event in stepped}
    assert {step: pytest.approx(rate) for step, rate in rates.items()} == {
        step: trained[step] for step in rates
    }


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ([], "the new plan has 4 steps and 4 are done"),
        (["train.compress_to_steps=3"], "the new plan has 3 steps and 4 are done"),
        (["train.batch_size=3"], "--set train.batch_size=3: cannot change in mid-training"),
        (["optimizer.params.lr=0.1"], "cannot change in mid-training"),
        (["train.steps=9", "train.early_stopping={patience: 1, min_delta: 9.0}"],
         "early stopping ends the new plan at once"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("origin")
def test_plan_that_cannot_go_on_is_refused_before_a_folder_is_made(sets, said, capsys):
    assert extend(*(word for text in sets for word in ("--set", text))) == 2
    assert said in capsys.readouterr().err
    assert not Path("longer").exists()
    assert sorted(path.name for path in Path().iterdir()) == ["machine.yaml", "run"]


@pytest.mark.usefixtures("origin")
def test_values_of_the_run_and_used_folders_are_refused(capsys):
    assert extend("--seed", "3") == 2
    assert "leave out seed" in capsys.readouterr().err
    assert train("--extend", "nowhere", *EIGHT) == 2
    assert "holds no run" in capsys.readouterr().err
    Path("longer").mkdir()
    Path("longer/mine.txt").write_text("x")
    assert extend(*EIGHT) == 2
    assert "is not empty" in capsys.readouterr().err


def test_run_under_way_is_refused(origin):
    with RunFolder.resume(origin):
        assert extend(*EIGHT) == 6


def test_best_checkpoint_of_the_old_plan_is_kept(origin):
    best = json.loads((origin / "run.json").read_text())["best"]
    after = load("run", sets=["train.compress_to_steps=8"])
    begin_extension(plan_extension(origin, after, []), Path("longer"), {})
    assert (Path("longer/checkpoints/best")).read_text().strip() == best["checkpoint"]
    assert load_checkpoint(Path("longer/checkpoints"), "best").step == best["step"]


def test_best_is_that_of_what_the_new_plan_monitors(origin):
    """Of the checkpoints that are there; what was best by another figure is no measure of it."""
    sets = ["train.compress_to_steps=8", "monitor.metric=val/loss", "monitor.mode=min"]
    old = [e for e in read_events(origin / "events.jsonl") if e["type"] == "evaluated"]
    assert extend(*(word for text in sets for word in ("--set", text))) == 0
    told = [e for e in read_events(Path("longer/events.jsonl")) if e["type"] == "evaluated"]
    losses = [event["values"]["val/loss"] for event in told]
    assert len(losses) > len(old) > 1
    assert [e["is_best"] for e in told] == [
        all(value < earlier for earlier in losses[:number]) for number, value in enumerate(losses)
    ]
    best = read_run(Path("longer")).best
    assert best is not None
    assert (best["metric"], best["value"]) == ("val/loss", min(losses))
    state = load_checkpoint(Path("longer/checkpoints")).state["memory"]
    assert [value for _, value in state["monitored"]] == losses
    assert load_checkpoint(Path("longer/checkpoints"), "best").step == best["step"]


def test_a_figure_that_was_never_measured_has_no_best_yet(origin):
    sets = ["train.compress_to_steps=8", "monitor.metric=val/new"]
    begin_extension(plan_extension(origin, load("run", sets=sets), sets), Path("longer"), {})
    memory = load_checkpoint(Path("longer/checkpoints")).state["memory"]
    assert memory["best"] is None
    assert not any(event["is_best"] for event in memory["evaluated"])
    assert not (Path("longer/checkpoints") / "best").exists()
