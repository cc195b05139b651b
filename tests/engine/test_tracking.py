import sys
import time

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from runner.engine.tracking import TrackedRun, open_tracker
from runner.errors import MachineError, RecipeError
from runner.events import Evaluated, Finding, Saved, Stepped

PANEL = np.zeros((8, 8, 3), np.uint8)


def run(folder, resumed_at=None):
    return TrackedRun(folder=folder, id="abc", recipe="uav_fixed", resumed_at=resumed_at)


def track(folder, steps, resumed_at=None, loss=1.0):
    # Files of one second are read in the order of a counter's digits, 10 before 9.
    time.sleep(1.0 if resumed_at is not None else 0.0)
    tracker = open_tracker("tensorboard", run(folder, resumed_at))
    for step in steps:
        tracker.write(Stepped(step=step, epoch=0.0, values={"train/loss": loss}, samples_per_s=9.0))
    tracker.write(Evaluated(step=steps[-1], epoch=0, values={"val/miou": 0.5}, panels=(PANEL,)))
    tracker.write(
        Finding(step=steps[-1], epoch=0, rule="dead_class", subject="water", level="critical")
    )
    tracker.write(Saved(step=steps[-1], epoch=0, checkpoint="x"))
    tracker.close()


def shown(folder):
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events


def test_tensorboard_shows_scalars_panels_and_findings(tmp_path):
    track(tmp_path, [1, 2, 3])
    tags = shown(tmp_path).Tags()
    assert set(tags["scalars"]) == {"train/loss", "val/miou", "throughput/samples_per_s"}
    assert tags["images"] == ["panels/0"]
    assert tags["tensors"] == ["health/dead_class/water/text_summary"]


def test_tensorboard_hides_what_came_after_the_checkpoint(tmp_path):
    track(tmp_path, [1, 2, 3, 4], loss=1.0)
    track(tmp_path, [3, 4, 5], resumed_at=2, loss=2.0)
    losses = shown(tmp_path).Scalars("train/loss")
    assert [(each.step, each.value) for each in losses] == [
        (1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0), (5, 2.0)
    ]  # fmt: skip


def test_tensorboard_hides_a_run_that_was_killed_before_its_first_checkpoint(tmp_path):
    track(tmp_path, [1, 2, 3], loss=1.0)
    track(tmp_path, [1, 2], resumed_at=0, loss=2.0)
    losses = shown(tmp_path).Scalars("train/loss")
    assert [(each.step, each.value) for each in losses] == [(1, 2.0), (2, 2.0)]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_says_how_to_install_it(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MachineError, match=rf'pip install "training-recipe-runner\[{name}\]"'):
        open_tracker(name, run(tmp_path))


def test_an_unknown_tracker_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'tensorboard'"):
        open_tracker("tensorbord", run(tmp_path))


def test_a_folder_that_cannot_be_written_is_the_machines_fault(tmp_path):
    (tmp_path / "tensorboard").write_text("a file")
    with pytest.raises(MachineError, match="tensorboard: cannot be written"):
        open_tracker("tensorboard", run(tmp_path))


def test_mlflow_keeps_curves_panels_and_findings_in_one_run(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    for resumed_at in (None, 1):
        tracker = open_tracker("mlflow", run(tmp_path, resumed_at))
        tracker.write(Evaluated(step=1, epoch=0, values={"val/pck@10": 0.5}, panels=()))
        tracker.close()
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("uav_fixed")
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.data.metrics == {"val/pck_at_10": 0.5}


def test_wandb_keeps_the_run_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    tracker = open_tracker("wandb", run(tmp_path))
    tracker.write(Evaluated(step=1, epoch=0, values={"val/miou": 0.5}, panels=(PANEL,)))
    tracker.write(Finding(step=1, epoch=0, rule="goal", level="warning", message="lost"))
    tracker.close()
    assert list(tmp_path.rglob("run-abc.wandb"))
