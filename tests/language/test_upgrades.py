"""Older formats are read: each file by itself, by pure functions from one format to the next."""

import copy
from pathlib import Path

import pytest

from runner.errors import RecipeError
from runner.language import source
from runner.language.load import load_written
from runner.language.upgrades import SCHEMA, UPGRADES, upgraded


def renamed(old: str, new: str):
    """Return an upgrade that only renames a key of ``train``."""

    def upgrade(data):
        train = {new if key == old else key: value for key, value in data["train"].items()}
        return {**data, "train": train}

    return upgrade


# Formats that never were: what is tested is the way from one to the next.
INVENTED = {1: renamed("size", "batch"), 2: renamed("batch", "batch_size")}


def test_upgrades_are_applied_in_turn_and_change_no_input():
    old = {"schema": 1, "train": {"size": 4, "epochs": 2}}
    before = copy.deepcopy(old)
    new = {"schema": 3, "train": {"batch_size": 4, "epochs": 2}}
    assert upgraded(old, INVENTED, 3) == new
    assert upgraded({"schema": 2, "train": {"batch": 4, "epochs": 2}}, INVENTED, 3) == new
    assert upgraded(new, INVENTED, 3) == new
    assert old == before


def test_file_that_names_no_format_is_of_the_newest():
    data = {"train": {"batch_size": 4}}
    assert upgraded(data, INVENTED, 3) == data


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (4, "4 is newer than this runner reads, 3; update the runner"),
        (0, "0 is no format of recipes; write 3"),
        ("1", '"1" is no format of recipes; write 3'),
        (True, "true is no format of recipes; write 3"),
        (None, "null is no format of recipes; write 3"),
    ],
)
def test_format_that_cannot_be_read_is_told_the_cure(schema, said):
    with pytest.raises(ValueError, match=said):
        upgraded({"schema": schema}, INVENTED, 3)


def test_every_older_format_has_an_upgrade_and_a_test_of_its_own():
    assert sorted(UPGRADES) == list(range(1, SCHEMA))
    tests = {path.name for path in Path(__file__).parent.glob("test_upgrade_from_*.py")}
    assert tests == {f"test_upgrade_from_{schema}.py" for schema in UPGRADES}


def test_each_file_of_a_chain_is_upgraded_by_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    only_old = lambda data: upgraded(data, {0: renamed("size", "batch_size")}, 1)  # noqa: E731
    monkeypatch.setattr(source, "upgraded", only_old)
    Path("old.yaml").write_text("schema: 0\nextends: uav_fixed\ntrain:\n  size: 3\n")
    Path("new.yaml").write_text("schema: 1\nextends: old.yaml\ntrain: {epochs: 2}\n")
    loaded = load_written("new.yaml")
    assert (loaded.recipe.train.batch_size, loaded.recipe.train.epochs) == (3, 2)
    # A key with a new name is blamed on the nearest line that was written.
    assert str(loaded.source.place(("train", "batch_size"))) == "new.yaml:3"
    assert str(load_written("old.yaml").source.place(("train", "batch_size"))) == "old.yaml:3"


def test_newer_format_is_blamed_on_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("extends: uav_fixed\nschema: 2\n")
    with pytest.raises(RecipeError) as caught:
        load_written("mine.yaml")
    assert str(caught.value) == (
        "mine.yaml:2: schema: 2 is newer than this runner reads, 1; update the runner"
    )
