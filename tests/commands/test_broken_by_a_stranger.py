"""What a fresh pair of eyes broke once stays mended: exit code 2 or 3, the place, no traceback."""

import json
from pathlib import Path

import pytest

from runner.cli import main


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("plugins_forgotten")
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import sys\nsys.exit(0)\n", "own.py:2: --plugin: SystemExit: 0"),
        ("x = 1\ny = 1 / 0\n", "own.py:2: --plugin: ZeroDivisionError"),
        (
            "from runner.registry import losses\n"
            "@losses.register\ndef dice(spec, /, *, a: int = 1): ...\n",
            "own.py:2: --plugin: TypeError: loss 'dice' is registered twice",
        ),
        (
            "from runner.registry import losses\n"
            "@losses.register\ndef stranger_loss(spec, /, *, a: 'Nope' = 1): ...\n",
            "--plugin: NameError",
        ),
    ],
)
def test_plugin_that_goes_wrong_is_named_with_its_line(source, said, capsys):
    Path("own.py").write_text(source)
    assert main(["list", "losses", "--plugin", "own.py"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("key", ["extends", "smoke.train.nope", "sample.train", "version", "scale"])
def test_what_a_run_cannot_change_is_refused_by_set(key, capsys):
    assert main(["show", "uav_fixed", "--resolved", "--set", f"{key}=3"]) == 2
    assert "cannot be set for one run" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["data=3", "data=null", "data.params=3", "data.params=null"])
def test_section_that_is_no_mapping_is_named(text, capsys):
    assert main(["show", "segmentation", "--set", text]) == 2
    assert f"--set {text}: data" in capsys.readouterr().err


def test_resume_takes_no_seed_not_even_nought(capsys):
    assert main(["train", "--resume", "run", "--seed", "0"]) == 2
    assert "leave out seed" in capsys.readouterr().err
    assert main(["train", "--resume", "auto", "--out", "run", "--set", "train.steps=7"]) == 2


@pytest.mark.parametrize("text", ["[]", "null", '{"id": "x"}', "{"])
def test_damaged_record_of_a_run_is_the_datas_fault(text, capsys):
    Path("run").mkdir()
    Path("run/run.json").write_text(text)
    assert main(["train", "--resume", "run"]) == 3
    assert "is no record of a run" in capsys.readouterr().err


def test_strict_holds_for_a_run_that_is_done_already():
    Path("hope.yaml").write_text(
        "extends: uav_baseline\nexpect: [{metric: val/miou, min: 2.0, scale: smoke}]\n"
    )
    words = ["hope.yaml", "--smoke", "--device", "cpu", "--quiet", "--out", "run"]
    assert main(["train", *words]) == 0
    assert main(["train", "--resume", "run"]) == 0
    assert main(["train", "--resume", "run", "--strict"]) == 4
    assert json.loads(Path("run/run.json").read_text())["exit_code"] == 0


def test_machine_profile_that_is_no_text_is_named(capsys):
    Path("machine.yaml").write_bytes(b"\xff\xfe")
    assert main(["train", "uav_fixed", "--smoke", "--machine", "machine.yaml"]) == 2
    assert "machine.yaml: the machine profile cannot be read" in capsys.readouterr().err


def test_name_too_long_for_any_file_is_no_recipe(capsys):
    assert main(["validate", "a" * 300, "b" * 300 + ".yaml"]) == 2
    assert "so long a name" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["evidence", "uav", "--jobs", "0"], ["sample", "uav", "--out", "s", "--seed", "-1"]]
)
def test_number_out_of_range_is_wrong_usage(words):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2


def test_unknown_key_is_told_the_keys_as_recipes_write_them(capsys):
    Path("mine.yaml").write_text("extends: uav_fixed\nzzz: 1\n")
    assert main(["validate", "mine.yaml"]) == 2
    assert "known here: schema," in capsys.readouterr().err


NAN_LOSS = """\
from runner.registry import losses

@losses.register
def no_number(spec, /, *, factor: float = 1.0):
    \"\"\"Not a number.\"\"\"
    return lambda logits, mask: logits.sum() * float("nan")
"""


@pytest.mark.usefixtures("plugins_forgotten")
def test_training_of_which_no_step_was_applied_is_no_success(capsys):
    """However short: three in a row end a longer one."""
    Path("own.py").write_text(NAN_LOSS)
    Path("own.yaml").write_text("extends: uav_fixed\ntask: {params: {loss: {name: no_number}}}\n")
    words = ["own.yaml", "--plugin", "own.py", "--device", "cpu"]
    assert main(["train", *words, "--smoke", "--quiet", "--out", "run"]) == 5
    record = json.loads(Path("run/run.json").read_text())
    assert record["state"] == "stopped"
    assert "2 in a row by now" in record["reason"]
    capsys.readouterr()
    assert main(["smoke", *words]) == 1
    said = capsys.readouterr().err
    assert "own.yaml: was stopped: loss or gradients were not finite" in said
    assert "deterministic" not in said
