"""The README's second section is run as it stands: own files, own loss, no line in the checkout."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.data.samples import write_sample

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(
    r"(?:<!-- file: (?P<file>[\w.]+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.S
)


def section(title: str) -> str:
    return README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.fixture
def photos(tmp_path):
    """A foreign folder of images and masks: PNG in place of JPEG, ids 0 and 1."""
    from PIL import Image

    write_sample("uav", tmp_path / "sample", 1)
    (tmp_path / "photos/images").mkdir(parents=True)
    (tmp_path / "photos/masks").mkdir()
    for image in sorted((tmp_path / "sample/original_images").glob("*.jpg"))[:20]:
        Image.open(image).save(tmp_path / f"photos/images/{image.stem}.png")
        mask = Image.open(tmp_path / f"sample/label_images_semantic/{image.stem}.png")
        mask.point(lambda level: int(level > 4)).save(tmp_path / f"photos/masks/{image.stem}.png")
    return tmp_path


def test_own_loss_and_own_folder_train_without_touching_the_checkout(photos):
    blocks = list(BLOCK.finditer(section("Your data, your loss")))
    for block in blocks:
        if block["file"]:
            (photos / block["file"]).write_text(block["text"])
    draft = (photos / "mine.yaml").read_text()
    assert len(draft.strip().splitlines()) <= 12
    commands = [
        line for block in blocks if block["kind"] == "sh" for line in block["text"].splitlines()
    ]
    assert any("--plugin" in line for line in commands)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(photos / "cache")}
    for line in commands:
        done = subprocess.run(
            line, shell=True, cwd=photos, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, (line, done.stderr)
    assert "tversky" in (photos / "runs/first/recipe.yaml").read_text()
    assert (photos / "runs/first/plugins/tversky.py").read_text() == (
        photos / "tversky.py"
    ).read_text()


def test_the_draft_of_few_labels_is_a_recipe(tmp_path):
    from runner.language.load import load

    [block] = [each for each in BLOCK.finditer(section("Few labels")) if each["file"]]
    (tmp_path / block["file"]).write_text(block["text"])
    recipe = load(str(tmp_path / block["file"])).recipe
    assert (recipe.data.name, recipe.sampler.name) == ("partly_labelled_folder", "two_streams")


def test_commands_and_recipes_that_the_readme_names_exist():
    from runner.cli import COMMANDS
    from runner.language.source import published

    assert set(re.findall(r"(?m)^runner (\w+)", README)) <= set(COMMANDS)
    named = set(re.findall(r"RECIPE=(\w+)", README)) | set(
        re.findall(r"extends: (\w+)$", README, re.M)
    )
    assert named <= set(published())


def without_lines(text: str) -> str:
    """Leave out what another edit or another torch may move: line numbers and megabytes."""
    return re.sub(r"(?<=:)\d+$|\d+(?= MB)", "N", text, flags=re.M)


def test_what_is_shown_of_explain_and_diff_is_what_they_tell(capsys, monkeypatch):
    from runner.cli import main

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(ROOT)
    shown = section("What a recipe does before it runs")
    blocks = re.findall(r"```\n\$ runner ((?:explain|diff) .*)\n((?:.*\n)*?)```", shown)
    assert len({words.split("_")[0] for words, _ in blocks if words.startswith("diff")}) == 5
    for words, told in blocks:
        assert main(words.split()) == 0
        assert without_lines(capsys.readouterr().out) == without_lines(told), words
    assert main(["diff", "uav_baseline", "uav_fixed"]) == 0
    consequences = capsys.readouterr().out.split("what follows", 1)[1].splitlines()
    assert all(line in README for line in consequences)
