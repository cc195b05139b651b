"""``runner analyze`` as users see it: figures, files, a draft, and every bad file at once."""

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from runner.cli import main
from runner.insight.verification import problems_of
from runner.statistics import Statistics, read_analysis, read_sample_statistics

SIZE = 40, 48
DRAFT = """extends: segmentation
data:
  params:
    root: photos
    images: "{split}/images/*.jpg"
    masks: "{split}/masks/{stem}.png"
    classes: [ground, object]
    splits: {folders: {train: train, val: val}}
    crop: [16, 16]
"""


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    """A folder of six images in two splits, in the folder that the command is called from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNNER_MACHINE", str(tmp_path / "machine.yaml"))
    Path("machine.yaml").write_text(f"workers: 0\nruns: runs\ncache: {tmp_path / 'cache'}\n")
    Path("mine.yaml").write_text(DRAFT)
    random = np.random.default_rng(0)
    for split, names in {"train": "abcd", "val": "ef"}.items():
        for kind in ("images", "masks"):
            (tmp_path / "photos" / split / kind).mkdir(parents=True)
        for name in names:
            small = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            image = cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(f"photos/{split}/images/{name}.jpg", image)
            mask = np.zeros(SIZE, np.uint8)
            mask[0, :32] = 1
            cv2.imwrite(f"photos/{split}/masks/{name}.png", mask)
    return tmp_path / "photos"


def test_figures_files_and_draft(capsys):
    assert main(["analyze", "mine.yaml", "--verify", "--write-patch", "next.yaml"]) == 0
    told = capsys.readouterr()
    assert "train 4, val 2" in told.out
    assert "object" in told.out and "1.67 %" in told.out
    assert "[WARNING] imbalance: considerable, 59:1" in told.out
    assert "rare_class_crops" in told.out
    folder = Path("runs/analysis/mine")
    assert {path.name for path in folder.iterdir()} == {"analysis.json", "classes.png"}
    with Image.open(folder / "classes.png") as plot:
        assert plot.width == 960
    assert read_analysis(folder).classes == {"ground": 7552.0, "object": 128.0}
    assert main(["validate", "next.yaml"]) == 0


def test_the_folder_of_a_draft_is_made(capsys):
    words = [
        "analyze",
        "uav_fixed",
        "--out",
        "new/figures",
        "--write-patch",
        "new/drafts/next.yaml",
    ]
    assert main(words) == 0, capsys.readouterr().err
    assert main(["validate", "new/drafts/next.yaml"]) == 0


def test_suits_never_stands_beside_a_warning(capsys):
    draft = DRAFT.replace("[ground, object]", "[ground, object, cloud]")
    Path("mine.yaml").write_text(draft)
    assert main(["analyze", "mine.yaml", "--write-patch", "next.yaml"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "no class weights follow: cloud has no pixels in the split 'train'" in told
    assert "no change of the recipe follows; see the warnings above" in told
    assert "suits" not in told
    written = Path("next.yaml").read_text()
    assert "cloud has no pixels" in written and "suits" not in written


def test_json_is_the_file_and_nothing_else(capsys, tmp_path):
    assert main(["analyze", "mine.yaml", "--json", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert Statistics.model_validate_json(printed) == read_analysis(tmp_path / "out")
    assert json.loads(printed)["schema"] == 1


def test_every_bad_file_is_named_at_once(photos, capsys):
    truncated = photos / "train/images/a.jpg"
    truncated.write_bytes(truncated.read_bytes()[:-40])
    bomb = photos / "train/images/b.jpg"
    bomb.write_bytes(png_that_claims(60_000, 60_000))
    cv2.imwrite(str(photos / "train/masks/c.png"), np.zeros((20, 20), np.uint8))
    cv2.imwrite(str(photos / "train/masks/d.png"), np.zeros((*SIZE, 3), np.uint8))
    (photos / "val/masks/e.png").write_text("no image")
    (photos / "val/masks/f.png").unlink()
    assert main(["analyze", "mine.yaml", "--verify"]) == 3
    told = capsys.readouterr().err
    for expected in (
        "train/images/a.jpg: is truncated",
        "train/images/b.jpg: has more than 178,956,970 pixels",
        "train/images/c.jpg: is 48x40 pixels, its mask train/masks/c.png 20x20",
        "train/masks/d.png: has colours (mode RGB) where ids are expected",
        "val/masks/e.png: is not an image that can be read",
        "val/images/f.jpg: has no mask",
    ):
        assert expected in told
    assert len(told.strip().splitlines()) == 7  # and "error:"
    assert not Path("runs/analysis").exists()


@pytest.mark.parametrize("more", [[], ["--verify"]])
def test_an_image_of_16_bits_is_refused_as_training_does(photos, capsys, more):
    deep = np.random.default_rng(0).integers(0, 65536, (*SIZE, 3), dtype=np.uint16)
    (photos / "val/images/e.jpg").write_bytes(cv2.imencode(".png", deep)[1].tobytes())
    assert main(["analyze", "mine.yaml", *more]) == 3
    told = capsys.readouterr().err
    assert told.count("e.jpg: is a uint16 image; convert it to 8 bits a channel") == 1


def test_verify_reads_images_as_training_does_and_masks_as_masks(photos, capsys):
    cv2.imwrite("photos/val/masks/e.png", np.zeros(SIZE, np.uint16))
    assert main(["analyze", "mine.yaml", "--verify"]) == 0, capsys.readouterr().err
    deep = photos / "deep.png"
    cv2.imwrite(str(deep), np.zeros(SIZE, np.uint16))
    assert problems_of((deep, "mask")) == (deep, ())
    [found] = problems_of((deep, "image"))[1]
    assert "is a uint16 image" in str(found)


def test_a_mask_of_colours_among_masks_of_ids_is_found(photos, capsys):
    Image.new("RGB", SIZE[::-1], (1, 1, 1)).save(photos / "val/masks/f.png")
    for more in ([], ["--verify"]):
        assert main(["analyze", "mine.yaml", *more]) == 3
        assert "f.png: has colours (mode RGB) where ids are expected" in capsys.readouterr().err
    assert main(["train", "mine.yaml", "--smoke", "--out", "run"]) == 3
    assert "f.png: has colours (mode RGB)" in capsys.readouterr().err


def test_figures_of_the_readable_are_shown_and_not_kept(photos, capsys):
    mask = np.full(SIZE, 7, np.uint8)
    for name in "ab":
        cv2.imwrite(str(photos / f"train/masks/{name}.png"), mask)
    truncated = photos / "val/images/e.jpg"
    truncated.write_bytes(truncated.read_bytes()[:-40])
    assert main(["analyze", "mine.yaml"]) == 3
    told = capsys.readouterr()
    assert "id 7: 3,840 pixels in 2 masks, first train/images/a.jpg" in told.out
    assert "id 7 is not mapped: 3,840 pixels in 2 masks" in told.err
    assert "val/images/e.jpg: is truncated" in told.err
    assert not Path("runs/analysis").exists()


@pytest.mark.parametrize("more", [[], ["--verify"]])
def test_images_that_a_viewer_turns_are_warned_of_once(photos, capsys, more):
    exif = Image.Exif()
    exif[0x0112] = 3
    path = photos / "train/images/b.jpg"
    with Image.open(path) as image:
        image.save(path, exif=exif)
    assert main(["analyze", "mine.yaml", *more]) == 0
    told = capsys.readouterr().out
    assert told.count("[WARNING] exif_orientation: 1 of 6 images carries") == 1
    assert "  train/images/b.jpg: orientation 3\n" in told


def test_masks_that_are_all_ignored_are_said_to_be(photos, capsys):
    for name in "ef":
        cv2.imwrite(str(photos / f"val/masks/{name}.png"), np.full(SIZE, 255, np.uint8))
    assert main(["analyze", "mine.yaml", "--verify"]) == 3
    assert "the split 'val' has nothing labelled" in capsys.readouterr().err


def test_training_warns_where_the_data_have_changed_since(photos, capsys):
    words = ["train", "mine.yaml", "--smoke", "--device", "cpu", "--quiet"]
    assert main(["analyze", "mine.yaml"]) == 0
    assert main([*words, "--out", "first"]) == 0
    assert "warning: the data" not in capsys.readouterr().err
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        (photos / f"train/{kind}/d.{suffix}").unlink()
    assert main([*words, "--out", "second"]) == 0
    assert "warning: the data, or their splits, are not those of" in capsys.readouterr().err


def told_of(reference: str, capsys) -> str:
    """Whose figures of the data ``explain`` has of a recipe; empty where it has none."""
    words = ["explain", reference, "--quick", "--json", "--set", "train.batch_size=2"]
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)["data"]


def test_a_child_that_keeps_the_data_block_has_its_analysis(capsys):
    assert main(["analyze", "mine.yaml", "--write-patch", "next.yaml"]) == 0
    lines = {
        "crops": "crop: [24, 24]",
        "stacked": "validation: squash",
        "remapped": "classes: {ground: [1], object: [0]}",
        "dealt": "splits: {folders: {train: val, val: train}}",
        "elsewhere": "root: others",
    }
    for name, line in lines.items():
        Path(f"{name}.yaml").write_text(f"extends: next.yaml\ndata: {{params: {{{line}}}}}\n")
    capsys.readouterr()
    for name in ("mine", "next", "crops", "stacked"):
        assert told_of(f"{name}.yaml", capsys).startswith("photos, 4 items"), name
    for name in ("remapped", "dealt", "elsewhere"):
        assert told_of(f"{name}.yaml", capsys) == "", name


def test_an_analysis_is_found_whatever_the_recipe_is_called(capsys):
    assert main(["analyze", "mine.yaml"]) == 0
    Path("mine.yaml").rename("other.yaml")
    capsys.readouterr()
    assert told_of("other.yaml", capsys).startswith("photos, 4 items")
    # The name alone proves nothing: another draft of this name has other data.
    Path("mine.yaml").write_text(DRAFT.replace("train: train, val: val", "train: val, val: train"))
    assert told_of("mine.yaml", capsys) == ""


def test_a_child_is_warned_where_the_data_have_changed_since(photos, capsys):
    assert main(["analyze", "mine.yaml", "--write-patch", "next.yaml"]) == 0
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        (photos / f"train/{kind}/d.{suffix}").unlink()
    words = ["train", "next.yaml", "--smoke", "--device", "cpu", "--quiet", "--out", "run"]
    assert main(words) == 0
    said = capsys.readouterr().err
    assert "runs/analysis/mine/analysis.json any more" in said
    assert "may not fit: runner analyze next.yaml\n" in said


def test_an_analysis_of_the_users_data_refutes_no_published_recipe(capsys):
    sample = read_sample_statistics("sample:uav")
    balanced = dict.fromkeys(sample.classes, 100.0)
    own = sample.model_copy(update={"root": "photos", "classes": balanced})
    folder = Path("runs/analysis/uav_baseline")
    folder.mkdir(parents=True)
    (folder / "analysis.json").write_text(own.model_dump_json(by_alias=True))
    assert told_of("uav_baseline", capsys).startswith("photos")
    assert main(["validate", "uav_baseline"]) == 0, capsys.readouterr().err


def test_wrong_usage_is_told_before_anything_is_measured(capsys):
    assert main(["analyze", "mine.yaml", "--write-patch", "mine.yaml"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["analyze", "mine.yaml", "--data", "nowhere"]) == 3
    assert "is no folder" in capsys.readouterr().err


def test_folder_that_cannot_be_written_is_the_machines_fault(capsys):
    Path("taken").write_text("a file")
    assert main(["analyze", "mine.yaml", "--out", "taken"]) == 7
    assert "cannot be written" in capsys.readouterr().err


def png_that_claims(width: int, height: int) -> bytes:
    """Return a PNG of few bytes whose header claims an image that would fill the memory."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )
