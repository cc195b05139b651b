"""A diff reads well on any width, with colour or without, and as a comment on a pull request."""

import json
import re
from pathlib import Path

import pytest

from runner.cli import main
from runner.colour import paint, paint_for, plain
from runner.diff_text import as_markdown, comparison
from runner.language.diff import Comparison, Group, compare
from runner.language.differences import Difference
from runner.language.dump import to_yaml
from runner.language.load import load, load_written


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(load_written("uav_baseline"), load_written("uav_fixed"))


def one(*differences: Difference, because: str = "a reason", notes: tuple[str, ...] = ()):
    return Comparison("a", "b", (Group(because, {}, differences, notes),), ())


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_no_line_is_wider_than_asked_for(found, width):
    assert max(map(len, comparison(found, width=width).splitlines())) <= width


def test_consequences_stand_side_by_side_or_below_each_other(found):
    assert re.search(r"(?m)^effective batch +16 +18 +\+12%$", comparison(found, width=100))
    assert "  effective batch\n    16 -> 18 +12%" in comparison(found, width=40)


def test_swapped_part_has_its_two_sides(found):
    lines = comparison(found, width=100).splitlines()
    at = lines.index("   schedule:")
    assert lines[at + 1].startswith('     - cosine(duration {"epochs": 20.0}')
    assert any(line.startswith("     + cosine_warm_restarts(") for line in lines[at:])


def test_added_and_removed_keys_say_so():
    text = comparison(one(Difference(("x",), "added", None, 1), Difference(("y",), "removed", 2)))
    assert "x: not there -> 1" in text
    assert "y: 2 -> not there" in text


def test_colour_changes_no_letter(found):
    plain_text, painted = comparison(found), comparison(found, paint=paint)
    assert painted != plain_text
    assert re.sub(r"\x1b\[\d+m", "", painted) == plain_text


class Terminal:
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch, tmp_path):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint_for(Terminal()) is paint
    with (tmp_path / "file").open("w") as file:
        assert paint_for(file) is plain
    monkeypatch.setenv("TERM", "dumb")
    assert paint_for(Terminal()) is plain
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint_for(Terminal()) is plain


def notes(text: str, tmp_path) -> tuple[str, ...]:
    draft = tmp_path / "mine.yaml"
    draft.write_text(f"extends: uav_fixed\n{text}")
    [group] = compare(load_written("uav_fixed"), load_written(str(draft))).groups
    return group.notes


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("train: {batch_size: 9, accumulate: 2}", "the effective batch stays 18"),
        ("train: {batch_size: 5, accumulate: 4}", "hardly a change: effective batch 18 -> 20"),
        ("schedule: {params: {first: {fraction: 0.33333333333}}}", "stays the same"),
    ],
)
def test_change_that_changes_nothing_is_marked(text, note, tmp_path):
    [said] = notes(text, tmp_path)
    assert note in said


@pytest.mark.parametrize("text", ["train: {batch_size: 12}", "schedule: {params: {multiplier: 3}}"])
def test_change_that_matters_is_not_marked(text, tmp_path):
    assert notes(text, tmp_path) == ()


def test_markdown_tells_reasons_values_and_consequences(found):
    text = as_markdown(found)
    assert text.startswith("### `uav_baseline` → `uav_fixed`\n")
    assert re.search(r"\| `train.batch_size` +\| `4` +\| `6` +\|", text)
    assert re.search(r"\| effective batch +\| 16 +\| 18 +\| \+12% +\|", text)
    assert "> hardly a change" in text
    assert text.count("\n**") == 4


def test_markdown_of_a_stranger_stays_text():
    value = Difference(("a|b",), "changed", "x|y", "``` `")
    text = as_markdown(one(value, because="<img src=x> [click](http://x) *bold*\n# head"))
    assert "<img" not in text.replace("\\<", "")
    assert "\n# head" not in text
    assert "\\[click\\]" in text
    row = text.splitlines()[-1]
    assert len(re.findall(r"(?<!\\)\|", row)) == 4
    assert '```` "``` `" ````' in row


def test_diff_command_prints_markdown_and_no_colour_into_a_pipe(capsys):
    assert main(["diff", "uav_baseline", "uav_fixed", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("### ")
    assert main(["diff", "uav_baseline", "uav_fixed"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert main(["diff", "uav_fixed", "uav_fixed", "--markdown"]) == 0
    assert "No difference." in capsys.readouterr().out


def test_a_run_is_called_by_its_folder_and_told_with_what_was_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    sets = ["train.epochs=3"]
    Path("run/recipe.yaml").write_text(to_yaml(load("uav_fixed", sets=sets).flat()))
    record = {"recipe": "uav_fixed", "overrides": sets}
    Path("run/run.json").write_text(json.dumps(record))
    assert main(["diff", "uav_fixed", "run"]) == 0
    head, told, *rest = capsys.readouterr().out.splitlines()
    assert head == "uav_fixed -> run"
    assert told == "run: a run of uav_fixed at the scale sample, --set train.epochs=3"
    assert any(re.fullmatch("what follows +uav_fixed +run", line) for line in rest)
    assert main(["diff", "uav_fixed", "run", "--markdown"]) == 0
    assert "--set train.epochs=3" in capsys.readouterr().out


def test_drafts_of_one_name_are_called_by_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(f"{folder}/mine.yaml").write_text("extends: uav_fixed\n")
    both = compare(load_written("a/mine.yaml"), load_written("b/mine.yaml"))
    assert (both.before, both.after) == ("a/mine.yaml", "b/mine.yaml")


def weights_of(before: str, after: str) -> dict[str, list[str]]:
    both = compare(load_written(before), load_written(after))
    return {name: sides for name, *sides in both.consequences if name.startswith("weight of")}


def test_loss_without_weights_has_the_shares_of_the_data_beside_one_with():
    found = weights_of("s4gan_v3", "s4gan_gan")
    # In the one a term of a sum, in the other the loss itself.
    assert found["weight of Snake Fruit in cross_entropy"] == ["14.3 %", "41.8 %"]
    assert len(found) == 7
    assert not any("-" in sides for sides in found.values())


def test_loss_whose_alpha_is_one_number_weighs_no_classes():
    assert weights_of("yolov8_fixed", "yolov8_negatives") == {}


def test_reasons_are_found_however_the_recipes_are_named(recipes):
    by_name = compare(load_written("uav_fixed"), load_written("uav_corrected"))
    for before, after in (
        ("recipes/uav_fixed.yaml", "uav_corrected"),
        ("uav_fixed", "recipes/uav_corrected.yaml"),
        (str(recipes / "uav_fixed.yaml"), "recipes/../recipes/uav_corrected.yaml"),
    ):
        assert compare(load_written(before), load_written(after)) == by_name
    assert all(group.because for group in by_name.groups)
