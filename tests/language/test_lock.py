"""A published version means what it was published with; what does not is named, with its heirs."""

import json
import re

import pytest

from runner.cli import main
from runner.language.load import load_written
from runner.language.lock_file import LOCK, flattened, read_lock
from runner.language.source import published, published_folder


@pytest.fixture
def locked(recipes):
    assert main(["validate", "--write-lock"]) == 0
    return recipes


def edit(folder, name: str, old: str, new: str) -> None:
    file = folder / f"{name}.yaml"
    text = file.read_text()
    assert old in text, old
    file.write_text(text.replace(old, new, 1))


def said(capsys, *words: str, code: int = 2) -> list[str]:
    capsys.readouterr()
    assert main(["validate", *words]) == code
    # What lints say comes after the problems, and is for other tests.
    problems = re.split(r"(?m)^\w+: \d+ lints?, ", capsys.readouterr().err)[0]
    lines = [line.removeprefix("error: ") for line in problems.splitlines()]
    # Which line it is other tests say; here recipes that grow must not matter.
    return [re.sub(r"yaml:\d+", "yaml", line) for line in lines if line != "error:"]


def test_the_lock_holds_every_published_recipe_as_it_is():
    lock = read_lock(published_folder())
    for name in published():
        loaded = load_written(name)
        entry = lock.of(name, loaded.recipe.version)[-1]
        assert entry.pin.fingerprint == loaded.recipe_fingerprint, f"{name}: make lock"
        assert lock.values(entry) == flattened(loaded.recipe), name


def test_a_childs_entry_holds_what_differs_from_its_bases(locked):
    [entry] = read_lock(locked).of("uav_fixed")
    assert (entry.over.name, entry.over.version) == ("uav_baseline", 1)
    assert "optimizer.params.lr = 0.0003" in entry.lines
    assert "- task.params.loss.params.dice_weight" in entry.lines
    assert len(entry.lines) < 30


def test_changed_meaning_names_key_line_and_every_child_that_inherits_it(locked, capsys):
    edit(locked, "uav_baseline", "weight_decay: 1.0e-4", "weight_decay: 2.0e-4")
    expected = [
        "recipes/uav_baseline.yaml: optimizer.params.weight_decay: was 0.0001 when version 1 of "
        "uav_baseline was published and is 0.0002 now; write version 2 in "
        "recipes/uav_baseline.yaml, and new versions of uav_fixed, uav_corrected too"
    ]
    assert said(capsys) == expected
    assert said(capsys, "uav_baseline") == expected


def test_child_that_overrides_the_key_is_not_named(locked, capsys):
    edit(locked, "uav_baseline", "lr: 1.0e-4", "lr: 2.0e-4")
    [line] = said(capsys)
    assert line.endswith("write version 2 in recipes/uav_baseline.yaml")


def test_child_of_a_bumped_base_must_be_bumped_too(locked, capsys):
    edit(locked, "uav_baseline", "version: 1", "version: 2")
    edit(locked, "uav_baseline", "weight_decay: 1.0e-4", "weight_decay: 2.0e-4")
    assert [re.sub(": .*published", "", line) for line in said(capsys)] == [
        "recipes/uav_baseline.yaml and is 0.0002 now; write version 2 in recipes/uav_fixed.yaml, "
        "and new versions of uav_corrected too",
        "recipes/uav_baseline.yaml: version: version 2 is not in recipes.lock; "
        "run runner validate --write-lock",
    ]
    for name in ("uav_fixed", "uav_corrected"):
        edit(locked, name, "version: 1", "version: 2")
    assert main(["validate", "--write-lock"]) == 0
    assert main(["validate"]) == 0


def test_child_that_drifts_with_its_base_is_not_called_ok(locked, capsys):
    edit(locked, "uav_baseline", "weight_decay: 1.0e-4", "weight_decay: 2.0e-4")
    edit(locked, "uav_baseline", "version: 1", "version: 2")
    for words in ([], ["uav_fixed"], ["uav_fixed", "--json"], ["--write-lock"]):
        capsys.readouterr()
        assert main(["validate", *words]) == 2
        shown = capsys.readouterr().out
        assert "uav_fixed: ok" not in shown, words
        assert '"uav_fixed":' not in shown, words


def test_swapped_part_is_one_change(locked, capsys):
    written = "{name: cosine, params: {duration: {epochs: 20}, min_lr: 1.0e-6}}"
    edit(locked, "uav_baseline", written, "{name: constant}")
    [line] = said(capsys, "uav_baseline")
    assert 'schedule: was "cosine" when' in line
    assert 'is "constant" now' in line


def test_prose_and_seed_may_change(locked):
    edit(locked, "uav_fixed", "The seed's fix.", "What the author did.")
    edit(locked, "uav_baseline", "epochs: 20, batch_size", "seed: 0, epochs: 20, batch_size")
    assert main(["validate"]) == 0


def test_writing_adds_and_changes_no_line(locked):
    before = list(filter(None, (locked / LOCK).read_text().splitlines()))
    edit(locked, "uav_corrected", "version: 1", "version: 2")
    edit(locked, "uav_corrected", "max_alpha: 10", "max_alpha: 9")
    assert main(["validate", "--write-lock"]) == 0
    after = list(filter(None, (locked / LOCK).read_text().splitlines()))
    assert [line for line in after if line in before] == before
    added = [line for line in after if line not in before]
    assert added[0].startswith("uav_corrected 2 ")
    assert " over uav_corrected 1 " in added[0]
    assert added[1:] == ["  task.params.loss.params.max_alpha = 9.0"]


def test_nothing_is_written_while_anything_is_wrong(locked, capsys):
    before = (locked / LOCK).read_text()
    edit(locked, "uav_baseline", "weight_decay: 1.0e-4", "weight_decay: 2.0e-4")
    edit(locked, "uav_corrected", "version: 1", "version: 2")
    assert "weight_decay" in said(capsys, "--write-lock")[0]
    assert (locked / LOCK).read_text() == before
    assert main(["validate", "uav_fixed", "--write-lock"]) == 2


@pytest.mark.usefixtures("recipes")
def test_version_that_is_not_in_the_lock_is_told_the_command(capsys):
    assert said(capsys, "uav_fixed") == [
        "recipes/uav_fixed.yaml: version: version 1 is not in recipes.lock; "
        "run runner validate --write-lock"
    ]


def test_version_before_a_published_one_is_refused(locked, capsys):
    edit(locked, "uav_fixed", "version: 1", "version: 3")
    assert main(["validate", "--write-lock"]) == 0
    edit(locked, "uav_fixed", "version: 3", "version: 2")
    [line] = said(capsys, "--write-lock")
    assert line.endswith("version: 2 stands before 3, published too; write 4")


def test_option_that_came_later_is_added_under_the_same_version(locked, capsys):
    file = locked / LOCK
    pinned = load_written("uav_baseline").recipe_fingerprint
    # As if the lock had been written before there was a `compile`.
    lines = [line for line in file.read_text().splitlines() if "train.compile" not in line]
    file.write_text("\n".join(lines).replace(f"uav_baseline 1 {pinned}", "uav_baseline 1 00"))
    [line] = said(capsys, "uav_baseline")
    assert "train.compile: came since version 1 was published, at its default" in line
    assert main(["validate", "--write-lock"]) == 0
    assert [entry.pin.version for entry in read_lock(locked).of("uav_baseline")] == [1, 1]
    edit(locked, "uav_baseline", "epochs: 20, batch_size", "compile: true, epochs: 20, batch_size")
    assert "train.compile: was false when version 1" in said(capsys, "uav_baseline")[0]


def test_removed_and_renamed_recipes_are_named_and_retired_by_writing(locked, capsys):
    (locked / "uav_corrected.yaml").rename(locked / "uav_cured.yaml")
    [gone] = [line for line in said(capsys) if "is gone" in line]
    assert gone.startswith(
        "recipes/recipes.lock: uav_corrected: was published and its file is gone"
    )
    assert "it means what uav_cured means" in gone
    assert main(["validate", "--write-lock"]) == 0
    assert "uav_corrected retired" in (locked / LOCK).read_text()
    assert main(["validate"]) == 0


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", "uav_fixed one 34ea", "uav_fixed 1 ab over x"])
def test_damaged_lock_is_named_with_its_line(locked, line, capsys):
    file = locked / LOCK
    file.write_text(file.read_text() + line + "\n")
    number = len(file.read_text().splitlines())
    assert f"recipes.lock:{number}" in said(capsys)[0]


@pytest.mark.usefixtures("locked")
def test_drafts_are_free_of_the_lock(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: uav_fixed\ntrain: {epochs: 3}\n")
    assert main(["validate", "mine.yaml"]) == 0


def test_json_tells_the_locks_problems_too(locked, capsys):
    edit(locked, "uav_baseline", "lr: 1.0e-4", "lr: 2.0e-4")
    capsys.readouterr()
    assert main(["validate", "uav_baseline", "--json"]) == 2
    [problem] = json.loads(capsys.readouterr().out)["problems"]
    assert problem["key"] == "optimizer.params.lr"
