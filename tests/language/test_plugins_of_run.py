"""A run folder's own parts are loaded with its recipe, and only as the run began with them."""

import hashlib
import json
from pathlib import Path

import pytest

from runner.cli import main
from runner.language.dump import to_yaml
from runner.language.load import load, load_written

PART = """
from runner.registry import schedules

@schedules.register
def {name}(horizon, /, *, factor: float = {factor}):
    "A constant."
    return lambda progress: factor
"""


pytestmark = pytest.mark.usefixtures("plugins_forgotten")


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run_folder(name: str, *, part: str, factor: float) -> Path:
    """Write what a run with an own schedule leaves."""
    folder = Path(name)
    (folder / "plugins").mkdir(parents=True)
    plugin = folder / "plugins/own.py"
    plugin.write_text(PART.format(name=part, factor=factor))
    digest = hashlib.sha256(plugin.read_bytes()).hexdigest()
    record = {"id": "a", "recipe": "uav_fixed", "plugins": {"own.py": digest}}
    (folder / "run.json").write_text(json.dumps(record))
    flat = {**load("uav_fixed").flat(), "schedule": {"name": part}}
    (folder / "recipe.yaml").write_text(to_yaml(flat))
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["show"],
        ["show", "--resolved"],
        ["validate"],
        ["diff", "uav_fixed"],
        ["explain", "--quick"],
        ["explain", "--set", "train.seed=1", "--json", "--quick"],
    ],
)
def test_commands_read_a_run_with_its_own_parts(words, capsys):
    run_folder("run", part="own_a", factor=0.5)
    assert main([words[0], *words[1:], "run"]) == 0, capsys.readouterr().err


def test_value_of_an_own_part_has_its_reader(capsys):
    run_folder("run", part="own_f", factor=0.5)
    assert main(["explain", "run", "schedule.params.factor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["value"], told["reader"]) == (0.5, "own_f(factor)")
    assert told["place"].startswith("run/plugins/own.py:")


def test_run_with_own_parts_is_shown_with_the_fingerprint_that_its_checkpoints_carry(capsys):
    folder = run_folder("run", part="own_g", factor=0.5)
    hashes = json.loads((folder / "run.json").read_text())["plugins"]
    assert main(["show", "run", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["run_fingerprint"]
    assert shown == load("run").run_fingerprint(hashes) != load("run").run_fingerprint()


def test_two_runs_with_other_states_of_one_file_are_compared():
    run_folder("one", part="own_b", factor=0.5)
    run_folder("two", part="own_b", factor=0.25)
    for _ in range(2):
        found = [load_written(name).recipe.schedule.params.factor for name in ("one", "two")]
        assert found == [0.5, 0.25]


def test_changed_plugin_is_refused_and_not_run(capsys):
    folder = run_folder("run", part="own_c", factor=0.5)
    (folder / "plugins/own.py").write_text("raise SystemExit('was run')\n")
    assert main(["show", "run", "--resolved"]) == 2
    err = capsys.readouterr().err
    assert "run/plugins/own.py: --plugin: was changed since the run began" in err
    assert "was run" not in err


def test_plugin_out_of_the_folder_is_refused(capsys):
    folder = run_folder("run", part="own_d", factor=0.5)
    content = Path("elsewhere.py")
    content.write_text("raise SystemExit('was run')\n")
    digest = hashlib.sha256(content.read_bytes()).hexdigest()
    record = {"id": "a", "recipe": "b", "plugins": {"../../elsewhere.py": digest}}
    (folder / "run.json").write_text(json.dumps(record))
    assert main(["show", "run", "--resolved"]) == 2
    assert "was run" not in capsys.readouterr().err


def test_own_part_named_by_the_recipe_alone_stays_unknown(capsys):
    folder = run_folder("run", part="own_e", factor=0.5)
    (folder / "run.json").unlink()
    assert main(["validate", "run"]) == 2
    assert "no schedule is called 'own_e'" in capsys.readouterr().err
