"""``name@REVISION`` reads a recipe and its bases from git, whatever lies in the checkout."""

import json
import subprocess

import pytest

from runner.cli import main
from runner.errors import MachineError, RecipeError
from runner.language.load import load, load_written
from runner.language.versions import check_published


def git(folder, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def history(recipes):
    """Commit the recipes, then change the base on disk and commit that."""
    git(recipes.parent, "init", "-q", "-b", "main")
    git(recipes.parent, "add", ".")
    git(recipes.parent, "commit", "-q", "-m", "first")
    git(recipes.parent, "tag", "v1")
    file = recipes / "uav_baseline.yaml"
    file.write_text(file.read_text().replace("weight_decay: 1.0e-4", "weight_decay: 0.5"))
    git(recipes.parent, "commit", "-q", "-a", "-m", "second")
    return recipes


def decay(reference: str) -> float:
    return load_written(reference).recipe.optimizer.params.weight_decay


@pytest.mark.parametrize("revision", ["v1", "HEAD~1", "main^", "main~1"])
@pytest.mark.usefixtures("history")
def test_bases_are_read_at_the_same_revision(revision):
    assert decay("uav_fixed") == 0.5
    assert decay(f"uav_fixed@{revision}") == 1e-4
    assert load_written(f"uav_fixed@{revision}").extends == "uav_baseline"


def test_recipe_whose_file_is_gone_is_still_read(history):
    (history / "uav_fixed.yaml").unlink()
    (history / "uav_baseline.yaml").unlink()
    loaded = load("uav_fixed@v1")
    assert loaded.scale == "sample"
    assert loaded.name == f"uav_fixed@{git(history, 'rev-parse', 'v1')[:10]}"
    assert check_published(load_written("uav_fixed@v1")) == []


@pytest.mark.usefixtures("history")
def test_diff_of_a_recipe_with_itself_before(capsys):
    assert main(["diff", "uav_baseline@v1", "uav_baseline", "--json"]) == 0
    [group] = json.loads(capsys.readouterr().out)["groups"]
    assert [each["key"] for each in group["differences"]] == [
        ["optimizer", "params", "weight_decay"]
    ]


@pytest.mark.usefixtures("history")
def test_show_and_validate_take_a_revision(capsys):
    assert main(["show", "uav_baseline@v1"]) == 0
    assert "weight_decay: 1.0e-4" in capsys.readouterr().out
    assert main(["validate", "uav_fixed@v1"]) == 0


def test_problem_at_a_revision_names_it_with_the_line(history, capsys):
    (history / "uav_fixed.yaml").write_text("extends: uav_baseline\ntrain: {epoch: 1}\n")
    git(history, "commit", "-q", "-a", "-m", "broken")
    git(history, "checkout", "-q", "v1")
    assert main(["validate", "uav_fixed@main"]) == 2
    assert "uav_fixed@main:2: train.epoch: nothing reads this key" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("uav_fixed@nope", "no revision of git is called 'nope'"),
        ("uav_fixed@--output=x", "no revision of git is called"),
        ("uav_fixed@HEAD..v1", "no revision of git is called"),
        ("uav_fixed@v1:recipes", "no revision of git is called"),
        ("uav_fixed@", "no revision of git is called"),
        ("uav_fixde@v1", "there is no such recipe; did you mean 'uav_fixed'?"),
        ("../uav_fixed@v1", "only the name of a published recipe takes @REVISION"),
        ("recipes/uav_fixed.yaml@v1", "only the name of a published recipe takes @REVISION"),
    ],
)
@pytest.mark.usefixtures("history")
def test_what_git_does_not_have_is_named(reference, said):
    with pytest.raises(RecipeError) as caught:
        load(reference)
    [problem] = caught.value.problems
    assert (problem.place, said in problem.message) == (reference, True)


def test_too_large_a_file_is_not_read(history):
    (history / "uav_fixed.yaml").write_text("#" * ((1 << 20) + 1))
    git(history, "commit", "-q", "-a", "-m", "large")
    with pytest.raises(RecipeError, match="larger than 1 MiB"):
        load("uav_fixed@main")


@pytest.mark.usefixtures("recipes")
def test_no_checkout_and_no_git_are_told_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", "/")
    with pytest.raises(RecipeError, match="in a checkout of git, and they lie in none"):
        load("uav_fixed@v1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="git: is not installed"):
        load("uav_fixed@v1")


@pytest.mark.usefixtures("history")
def test_a_hooks_own_repository_is_not_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert decay("uav_fixed@v1") == 1e-4
