"""Own parts that raise, or return what no such part returns, are named: exit code 2, no traceback.

A plugin's line is the place, or stands behind the recipe's line that names the part.
"""

import json
import sys
from pathlib import Path

import pytest

from runner.cli import main

PARTS = """\
import torch
from runner.registry import losses, metrics, models, transforms

@losses.register
def raising(spec, /):
    return lambda logits, mask: logits.nope()

@losses.register
def raising_when_built(spec, /):
    raise KeyError("boo")

@losses.register
def leaving(spec, /):
    return lambda logits, mask: exit(4)

@losses.register
def raising_elsewhere(spec, /):
    import beside_own
    return beside_own.Loss()

@losses.register
def nothing(spec, /):
    return None

@losses.register
def gives_none(spec, /):
    return lambda logits, mask: None

@losses.register
def gives_a_map(spec, /):
    return lambda logits, mask: logits.sum(1) - mask

@losses.register
def detached(spec, /):
    return lambda logits, mask: logits.detach().mean()

@models.register
def half_size(spec, /):
    return torch.nn.Conv2d(3, len(spec.classes), 2, stride=2)

@models.register
def head_alone(spec, backbone, /):
    return None

@models.register
def no_module(spec, /):
    return lambda image: image

@metrics.register
def raising_at_the_end(spec, /):
    class Metric:
        def update(self, outputs, batch): ...
        def state(self): ...
        def compute(self, states): return {"own": states[0] + 1}
    return Metric()

@metrics.register
def named(spec, /):
    class Metric:
        names = ("own",)
        def update(self, outputs, batch): ...
        def state(self): ...
        def compute(self, states): return {"own": 1.0}
    return Metric()

@transforms.register
def raising_in_a_worker(*, a: int = 0):
    return lambda sample, generator: sample.nope
"""
BESIDE = """\
import torch

class Loss(torch.nn.Module):
    def forward(self, logits, mask):
        return torch.nn.functional.cross_entropy(logits, mask.float()[:, 0])
"""
LOSS, MODEL = "task.params.loss", "task.params.model"


pytestmark = pytest.mark.usefixtures("plugins_forgotten")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(PARTS)
    Path("machine.yaml").write_text("workers: 0\n")


def line(text: str) -> int:
    return 1 + next(n for n, each in enumerate(PARTS.splitlines()) if text in each)


def train(key: str, name: str, *words: str, machine: str = "machine.yaml") -> int:
    draft = "extends: uav_baseline\n"
    block: object = {"name": name}
    for part in reversed(key.split(".")):
        block = {part: block}
    Path("mine.yaml").write_text(draft + json.dumps(block)[1:-1] + "\n")
    common = ["--smoke", "--device", "cpu", "--quiet", "--machine", machine]
    return main(["train", "mine.yaml", *common, "--plugin", "own.py", "--out", "run", *words])


@pytest.mark.parametrize(
    ("kind", "signature", "said"),
    [
        ("samplers", "spec, /", "takes (spec) before its '/', and a sampler is given (split, ba"),
        ("losses", "", "takes nothing before its '/', and a loss is given (spec) by the runner"),
        ("losses", "*, a: int = 1", "takes nothing before its '/', and a loss is given (spec)"),
        ("models", "a, b, c, /", "and a model is given (spec) or (spec, backbone) by the runner"),
        ("transforms", "spec, /", "and a transform is given nothing by the runner"),
        ("health", "history, /", "and a health rule is given nothing by the runner"),
        ("schedules", "", "and a schedule is given (horizon) by the runner"),
        ("optimizers", "a, b, /", "and an optimizer is given (named_parameters) by the runner"),
        ("metrics", "", "and a metric is given (spec) by the runner"),
        ("tasks", "a, b, /", "and a task is given (spec) by the runner"),
        ("datasets", "", "and a dataset is given (context) by the runner"),
    ],
)
def test_factory_that_does_not_take_what_its_kind_is_given_is_refused(
    kind, signature, said, capsys
):
    Path("own.py").write_text(
        f"from runner.registry import {kind}\n\n\n@{kind}.register\ndef mine({signature}): ...\n"
    )
    assert main(["list", kind, "--plugin", "own.py"]) == 2
    told = capsys.readouterr().err
    assert "own.py:4: --plugin: TypeError: mine takes " in told and said in told


@pytest.mark.parametrize(
    ("kind", "signature"),
    [("samplers", "split, batch_size=1, /"), ("losses", "a, b=2, /"), ("models", "a, b, /")],
)
def test_factory_that_takes_what_its_kind_is_given_may_take_more(kind, signature):
    Path("own.py").write_text(
        f"from runner.registry import {kind}\n\n\n@{kind}.register\ndef mine({signature}): ...\n"
    )
    assert main(["list", kind, "--plugin", "own.py"]) == 0


@pytest.mark.parametrize(
    ("key", "name", "at", "said"),
    [
        (LOSS, "raising", "logits.nope()", "AttributeError: 'Tensor' object has no attribute"),
        (LOSS, "raising_when_built", "KeyError", "KeyError: 'boo'; correct the plugin"),
        (LOSS, "leaving", "exit(4)", "--plugin: SystemExit: 4; correct the plugin"),
        (LOSS, "nothing", "def nothing", "returns NoneType, which has no __call__"),
        (LOSS, "gives_none", "def gives_none", "mine.yaml:2: task.params.loss: gave None"),
        (LOSS, "gives_a_map", "def gives_a_map", "gave a tensor (2, 64, 64)"),
        (LOSS, "detached", "def detached", "depends on no weight that is trained"),
        (MODEL, "half_size", "def half_size", "gave (2, 4, 32, 32) for an image of (2, 3, 64, 64)"),
        (MODEL, "head_alone", "def head_alone", "takes (spec, backbone), and is given 1 value"),
        (MODEL, "no_module", "def no_module", "returns function, which has no parameters"),
    ],
)
def test_wrong_part_is_named_with_its_line(key, name, at, said, capsys):
    assert train(key, name) == 2
    told = capsys.readouterr().err
    # A decorated function begins at its decorator.
    begins = line(at) - at.startswith("def")
    assert said in told
    assert f"own.py:{begins}" in told
    assert "Traceback" not in told
    assert len([each for each in told.splitlines() if not each.startswith("lint: ")]) <= 3


def test_module_that_a_plugin_imports_is_named_with_its_line(capsys, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("beside_own.py").write_text(BESIDE)
    try:
        assert train(LOSS, "raising_elsewhere") == 2
    finally:
        sys.modules.pop("beside_own", None)
    told = capsys.readouterr().err
    assert "beside_own.py:5: --plugin: " in told and "Traceback" not in told


def test_traceback_is_shown_with_debug_and_the_code_stays(capsys):
    assert train(LOSS, "raising", "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_run_record_says_that_the_plugin_failed():
    assert train(LOSS, "raising") == 2
    record = json.loads(Path("run/run.json").read_text())
    assert (record["state"], record["exit_code"]) == ("failed", 2)
    assert f"own.py:{line('logits.nope()')}" in record["reason"]


def test_metric_of_the_users_own_is_blamed_when_it_raises(capsys):
    draft = "extends: uav_baseline\nmetrics: [{name: raising_at_the_end}]\n"
    Path("own.yaml").write_text(draft + "monitor: {metric: val/loss, mode: min}\n")
    words = ["--smoke", "--quiet", "--plugin", "own.py", "--out", "run"]
    assert main(["train", "own.yaml", *words, "--machine", "machine.yaml"]) == 2
    assert f"own.py:{line('states[0] + 1')}: --plugin: TypeError" in capsys.readouterr().err


def test_metric_of_the_users_own_that_says_its_names_is_held_to_them(capsys):
    draft = "extends: uav_baseline\nmetrics: [{name: named}]\nhealth: {goal: null}\nexpect: []\n"
    draft += "monitor: {metric: val/onw, mode: max}\n"
    Path("own.yaml").write_text(draft)
    words = ["--smoke", "--quiet", "--plugin", "own.py", "--out", "run"]
    assert main(["train", "own.yaml", *words, "--machine", "machine.yaml"]) == 2
    told = capsys.readouterr().err
    assert (
        "own.yaml:5: monitor.metric: no metric of this recipe gives val/onw; did you mean" in told
    )
    assert not Path("run").exists()


def test_transform_that_raises_in_a_loaders_worker_is_named(capsys):
    Path("two.yaml").write_text("workers: 1\n")
    draft = "extends: uav_baseline\ndata: {params: {transforms: [{name: raising_in_a_worker}]}}\n"
    Path("own.yaml").write_text(draft)
    words = ["--smoke", "--quiet", "--plugin", "own.py", "--out", "run", "--machine", "two.yaml"]
    assert main(["train", "own.yaml", *words]) == 2
    assert f"own.py:{line('sample.nope')}: --plugin: AttributeError" in capsys.readouterr().err
