from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from runner.cli import main
from runner.contracts import DataSpec
from runner.errors import RecipeError
from runner.language.figures import OF_EVERY_STEP
from runner.language.load import load
from runner.language.misfits import classes_of
from runner.registry import KINDS, metrics, tasks

SPEC = DataSpec(("background", "safe", "danger"))


def part(**params):
    return metrics.parse({"name": "confusion_matrix", "params": params})


def test_rates_are_reported_under_their_name():
    metric = part(rates={"danger_to_safe": ["danger", "safe"]}).build(SPEC)
    found = metric.compute([torch.tensor([[1, 0, 0], [0, 1, 0], [0, 3, 1]])])
    assert found["danger_to_safe"] == 3 / 4


def test_a_rate_of_an_unknown_class_is_refused():
    with pytest.raises(RecipeError, match="did you mean 'danger'") as caught:
        part(rates={"danger_to_safe": ["dagner", "safe"]}).build(SPEC)
    assert caught.value.problems[0].key == "rates.danger_to_safe.0"


@pytest.mark.parametrize("rates", [{"a": ["danger"]}, {"a": ["danger", "safe", "safe"]}])
def test_a_rate_is_a_pair(rates):
    with pytest.raises(ValidationError):
        part(rates=rates)


@pytest.mark.parametrize("name", ["miou", "iou/safe", "pixel_accuracy", ""])
def test_a_rate_may_not_hide_another_figure(name):
    with pytest.raises((ValidationError, RecipeError)):
        part(rates={name: ["danger", "safe"]}).build(SPEC)


def test_two_metrics_share_no_counts():
    first, second = part().build(SPEC), part().build(SPEC)
    assert first.state() is not second.state()


@pytest.mark.parametrize("kind", ["datasets", "metrics", "tasks"])
def test_each_part_of_ours_foretells_what_it_gives(kind):
    silent = [name for name in KINDS[kind] if KINDS[kind][name].foretold is None]
    assert silent == []


def test_all_figures_of_a_confusion_matrix_are_foretold():
    own = part(rates={"missed": ["danger", "safe"]}, means={"ground": ["safe"]})
    found = own.build(SPEC).compute([torch.ones(3, 3, dtype=torch.int64)])
    assert sorted(found) == sorted(metrics.foretold(own, SPEC.classes))


@pytest.mark.parametrize(
    "recipe",
    [
        "uav_baseline",
        "vesuvius_baseline",
        "pointer_mse",
        "yolov8_original",
        "s4gan_v3",
        "s4gan_gan",
    ],
)
def test_every_figure_that_a_run_writes_was_foretold(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("machine.yaml").write_text("workers: 0\n")
    words = ["--smoke", "--device", "cpu", "--quiet", "--machine", "machine.yaml", "--out", "run"]
    assert main(["train", recipe, *words]) == 0
    loaded = load("run")
    classes = classes_of(loaded.recipe) or ("*",)
    known = [f"val/{n}" for each in loaded.recipe.metrics for n in metrics.foretold(each, classes)]
    known += [f"train/{name}" for name in tasks.foretold(loaded.recipe.task, classes)]
    known += ["val/loss", *(f"train/{name}" for name in OF_EVERY_STEP)]
    written = Path("run/metrics.csv").read_text().splitlines()[0].split(",")
    assert len(written) > 8
    others = [name for name in written if not any(fnmatchcase(name, each) for each in known)]
    assert others == ["step", "epoch"]
