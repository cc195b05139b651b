"""The command line keeps its contract: exit codes, messages on stderr, one JSON document."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from runner.cli import COMMANDS, main
from runner.language.load import load
from runner.language.source import published, published_folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_answer_before_torch_could_load(here):
    (here / "mine.yaml").write_text("extends: uav_fixed\n")
    for words in (["--help"], ["list"], ["list", "losses"], ["validate"], ["schema"],
                  ["show", "uav_fixed", "--resolved"], ["validate", "mine.yaml"]):  # fmt: skip
        code = f"""
import sys
from runner.cli import main
try:
    code = main({words!r})
except SystemExit as end:
    code = end.code
slow = {{"torch", "numpy", "cv2", "albumentations", "omegaconf"}} & set(sys.modules)
assert not slow and not code, (slow, code)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stderr)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"example: runner {command}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "words",
    [["nope"], ["train", "--nope"], ["train"], ["train", "nope"], ["train", "--resume", "auto"]],
)
def test_wrong_usage_exits_2_on_stderr(words, capsys):
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("error:")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["vallidate"], "COMMAND: there is no 'vallidate'; did you mean 'validate'?"),
        (["train", "a", "--sed", "3"], "runner train has no option --sed; did you mean '--seed'?"),
        (["train", "a", "--sed=3"], "runner train has no option --sed; did you mean '--seed'?"),
        (["list", "lossez"], "KIND: there is no 'lossez'; did you mean 'losses'?"),
        (["explain", "a", "--scale", "ful"], "--scale: there is no 'ful'; did you mean 'full'?"),
        (["analyze", "a", "--similar-bits", "20"], "--similar-bits: there is no '20'; 0 to 16"),
        (["train", "a", "b"], "nothing takes 'b'; runner train --help shows what it takes"),
        (["diff", "a"], "arguments are required: B; runner diff --help shows what it takes"),
        (["--vrsion"], "runner has no option --vrsion; did you mean '--version'?"),
    ],
)
def test_misspelt_word_is_told_the_nearest_in_one_line(words, said, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ") and err.endswith(f"{said}\n")


def test_validate_names_file_line_and_key_and_exits_2(here, capsys):
    (here / "bad.yaml").write_text("extends: uav_fixed\ntrain:\n  epoch: 3\n")
    assert main(["validate", "bad.yaml"]) == 2
    assert capsys.readouterr().err == (
        "error: bad.yaml:3: train.epoch: nothing reads this key; did you mean 'epochs'?\n"
    )


def test_validate_json_is_one_document(here, capsys):
    (here / "bad.yaml").write_text("extends: uav_fixed\ntrain: {epoch: 3}\n")
    assert main(["validate", "bad.yaml", "uav_fixed", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["problems"][0]["place"] == "bad.yaml:2"
    assert list(document["recipes"]) == ["uav_fixed"]


def test_all_published_recipes_are_valid(capsys):
    assert main(["validate"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(published())


def test_list_json_names_parameters_types_and_defaults(capsys):
    assert main(["list", "losses", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["balanced_focal"]["params"]["gamma"]["default"] == 2.0
    assert rows["balanced_focal"]["params"]["alpha"]["required"]


def test_show_prints_the_file_and_resolved_fills_defaults_in(tmp_path, capsys):
    assert main(["show", "uav_fixed"]) == 0
    assert capsys.readouterr().out == (published_folder() / "uav_fixed.yaml").read_text()
    assert main(["show", "uav_fixed", "--resolved"]) == 0
    resolved = capsys.readouterr().out
    assert "drop_last: true" in resolved
    assert "conv_unet" in resolved  # As it is run, on the embedded sample.
    assert main(["show", "uav_fixed", "--scale", "full"]) == 0
    resolved = capsys.readouterr().out
    assert "resnet34" in resolved
    (tmp_path / "written.yaml").write_text(resolved)
    written = load(str(tmp_path / "written.yaml"), is_full=True)
    assert written.run_fingerprint() == load("uav_fixed", is_full=True).run_fingerprint()


@pytest.fixture(scope="module")
def schema():
    done = subprocess.run(
        [sys.executable, "-m", "runner", "schema"], capture_output=True, check=True
    )
    found = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.mark.parametrize("name", published())
def test_schema_accepts_every_recipe_and_refuses_a_misspelling(schema, name):
    from runner.language.document import parse

    data = parse((published_folder() / f"{name}.yaml").read_text(), name).data
    schema.validate(data)
    for block in ("train", "task", "optimizer"):
        if block in data:
            wrong = {**data, block: {**data[block], "nmae": 1}}
            assert not schema.is_valid(wrong), block


@pytest.mark.parametrize(
    "text",
    [
        "task: {params: {losss: {name: dice}}}",
        "task: {params: {loss: {params: {gama: 2.0}}}}",
        "data: {params: {cropp: [1, 1]}}",
        "sampler: {params: {crops_per_imag: 2}}",
        "sampler: {params: {crops_per_image: two}}",
        "smoke: {data: {params: {cropp: [1, 1]}}}",
        "allow: {long_warmupp: it is meant}",
    ],
)
def test_schema_refuses_what_no_part_has_in_a_child_that_keeps_its_bases_part(schema, text):
    from runner.language.document import parse

    assert not schema.is_valid(parse(text, "child").data)


def test_schema_accepts_params_of_a_part_that_a_child_keeps(schema):
    assert schema.is_valid({"task": {"params": {"loss": {"params": {"gamma": 2.0}}}}})
    assert schema.is_valid({"sampler": {"params": {"crops_per_image": "${train.batch_size}"}}})


def test_schema_knows_the_params_of_each_part(schema):
    loss = {"name": "balanced_focal", "params": {"alpha": "from_data", "gama": 2}}
    assert not schema.is_valid({"task": {"params": {}}, "x": 1})
    assert not schema.is_valid({"task": {"name": "segmentation", "params": {"loss": loss}}})


@pytest.mark.usefixtures("here")
def test_sample_writes_the_real_layout_and_refuses_a_used_folder(capsys):
    assert main(["sample", "uav", "--out", "data"]) == 0
    assert len(list(Path("data/original_images").glob("*.jpg"))) == 96
    assert main(["sample", "uav", "--out", "data"]) == 2
    assert main(["sample", "uavv", "--out", "other"]) == 2
    assert "did you mean 'uav'" in capsys.readouterr().err


def test_garbage_is_looked_for_as_ever_once_a_command_runs(monkeypatch):
    import gc

    import runner.commands.list

    before = gc.get_threshold()
    seen = []
    monkeypatch.setattr(
        runner.commands.list,
        "run",
        lambda _: seen.append((gc.isenabled(), gc.get_threshold())) or 0,
    )
    assert main(["list"]) == 0
    assert seen == [(True, before)]


def test_bug_of_ours_shows_its_traceback(monkeypatch):
    import runner.commands.list

    monkeypatch.setattr(runner.commands.list, "run", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["list"])
