"""Recipes are laid over each other, and every key keeps the place it was written in."""

from pathlib import Path

import pytest

from runner.errors import RecipeError
from runner.language.overlay import Source, overlay
from runner.language.references import resolve
from runner.language.source import assignments, find, published, read


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> Path:
    Path(name).write_text(text)
    return Path(name)


def message(call, *arguments) -> str:
    with pytest.raises(RecipeError) as caught:
        call(*arguments)
    return str(caught.value)


def test_child_wins_and_base_keeps_its_place():
    write("base.yaml", "train:\n  batch_size: 2\n  log_every: 5\n")
    source = read(write("child.yaml", "extends: base.yaml\ntrain:\n  batch_size: 4\n"))
    assert source.data == {"train": {"batch_size": 4, "log_every": 5}}
    assert str(source.place(("train", "batch_size"))) == "child.yaml:3"
    assert str(source.place(("train", "log_every"))) == "base.yaml:3"


def test_lists_are_replaced():
    write("base.yaml", "a: [1, 2, 3]")
    assert read(write("child.yaml", "extends: base.yaml\na: [4]")).data["a"] == [4]


def test_another_part_drops_the_params_of_the_base():
    write("base.yaml", "m: {name: unet, params: {depth: 5}}")
    source = read(write("child.yaml", "extends: base.yaml\nm: {name: fpn}"))
    assert source.data["m"] == {"name": "fpn"}
    assert str(source.place(("m", "params", "depth"))) == "child.yaml:2"


def test_the_same_part_merges_its_params():
    write("base.yaml", "m: {name: unet, params: {depth: 5, width: 2}}")
    source = read(write("child.yaml", "extends: base.yaml\nm: {params: {depth: 4}}"))
    assert source.data["m"] == {"name": "unet", "params": {"depth": 4, "width": 2}}


@pytest.mark.parametrize(
    ("base", "child", "merged"),
    [
        ("{epochs: 3}", "{steps: 9}", {"steps": 9}),
        ("{steps: 3}", "{epochs: 9}", {"epochs": 9}),
        ("{epochs: 3, compress_to_steps: 5}", "{epochs: 9}", {"epochs": 9}),
        ("{epochs: 3}", "{compress_to_steps: 5}", {"epochs": 3, "compress_to_steps": 5}),
        ("{epochs: 3}", "{fraction: 0.5}", {"fraction": 0.5}),
    ],
)
def test_length_written_later_removes_the_other(base, child, merged):
    write("base.yaml", f"train: {base}")
    assert read(write("child.yaml", f"extends: base.yaml\ntrain: {child}")).data["train"] == merged


def test_what_a_recipe_says_of_itself_is_not_inherited():
    write("base.yaml", "version: 3\nsummary: old\nallow: {x: y}\nscenario: uav\n")
    assert read(write("child.yaml", "extends: base.yaml\nversion: 1")).data == {
        "scenario": "uav",
        "version": 1,
    }


def test_circle_of_extends_is_named():
    write("a.yaml", "extends: b.yaml")
    write("b.yaml", "extends: a.yaml")
    assert "a.yaml:1: extends: goes in a circle: " not in message(read, Path("a.yaml"))
    assert "goes in a circle: a -> b -> a" in message(read, Path("a.yaml"))


@pytest.mark.parametrize("name", ["../x.yaml", "/etc/passwd", "sub/x.yaml", "..", "[a]", "''"])
def test_extends_stays_in_its_folder(name):
    assert "child.yaml:1: extends: write the name of a published recipe" in message(
        read, write("child.yaml", f"extends: {name}")
    )


def test_link_out_of_the_folder_is_refused(tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.yaml"
    outside.write_text("a: 1")
    Path("link.yaml").symlink_to(outside)
    assert "link out of" in message(read, write("child.yaml", "extends: link.yaml"))


def test_missing_base_is_named_with_a_suggestion():
    assert "did you mean 'uav_fixed'?" in message(read, write("c.yaml", "extends: uav_fixd"))
    assert "no file nope.yaml" in message(read, write("c.yaml", "extends: nope.yaml"))


def test_unknown_recipe_suggests_the_nearest_name():
    assert "did you mean 'uav_fixed'?" in message(find, "uav_fixe")
    assert "uav_fixed" in published()


def test_file_that_cannot_be_read_is_named():
    assert "nope.yaml" in message(find, "nope.yaml")
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert "not text in UTF-8" in message(read, Path("binary.yaml"))
    assert "is a mapping" in message(read, write("list.yaml", "[1]"))
    assert "larger than 1 MiB" in message(read, write("big.yaml", "#" * ((1 << 20) + 1)))


def test_set_lays_a_value_over_any_depth():
    base = read(write("a.yaml", "train: {epochs: 3, batch_size: 2}"))
    laid = overlay(base, assignments(["train.steps=7"])[0])
    assert laid.data == {"train": {"batch_size": 2, "steps": 7}}
    assert str(laid.place(("train", "steps"))) == "--set train.steps=7"


@pytest.mark.parametrize("text", ["train.steps", "=3", "a..b=3", "a=[1"])
def test_set_that_is_no_assignment_is_refused(text):
    assert f"--set {text}" in message(assignments, [text])


def test_reference_takes_the_childs_value():
    write("base.yaml", "train: {steps: 100, batch_size: '${train.steps}'}")
    source = resolve(read(write("child.yaml", "extends: base.yaml\ntrain: {steps: 7}")))
    assert source.data["train"] == {"steps": 7, "batch_size": 7}


@pytest.mark.parametrize(
    "text", ["${oc.env:HOME}", "${oc.decode:'1'}", "${.a}", "x${a}", "${a[0]}", "${${a}}"]
)
def test_any_other_expression_is_refused_and_not_evaluated(text, monkeypatch):
    monkeypatch.setenv("HOME", "/secret")
    found = message(resolve, Source({"a": 1, "b": text}, read(write("a.yaml", "a: 1")).places))
    assert "is no reference" in found
    assert "/secret" not in found


def test_prose_is_never_interpolated():
    source = read(
        write("a.yaml", "summary: costs ${oc.env:HOME}\nchanges: [{because: '${x}'}]\na: 1")
    )
    assert resolve(source).data == source.data


def test_reference_to_nothing_and_circle_are_named():
    assert "train.nope" in message(resolve, read(write("a.yaml", "train: {a: '${train.nope}'}")))
    assert "a.yaml" in message(resolve, read(write("a.yaml", "a: '${b}'\nb: '${a}'")))
