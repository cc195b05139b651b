"""What can be known before the first step is said then; the machine's faults exit with 7."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from runner.cli import main


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNNER_MACHINE", raising=False)
    Path("machine.yaml").write_text("workers: 0\n")


def train(text: str, *words: str) -> int:
    Path("mine.yaml").write_text("extends: uav_baseline\n" + text)
    common = ["--smoke", "--device", "cpu", "--quiet", "--machine", "machine.yaml"]
    return main(["train", "mine.yaml", *common, "--out", "run", *words])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "monitor: {metric: val/miuo}",
            "mine.yaml:2: monitor.metric: no metric of this recipe gives val/miuo; "
            "did you mean 'val/miou'?",
        ),
        ("monitor: {metric: train/loss}", "mine.yaml:2: monitor.metric: should be a figure of an"),
        (
            "expect: [{metric: val/iou/backgroud, min: 1, scale: smoke}]",
            "mine.yaml:2: expect.0.metric: no metric of this recipe gives val/iou/backgroud; "
            "did you mean 'val/iou/background'?",
        ),
        (
            "health: {overfit_gap: {val: val/mIoU}}",
            "mine.yaml:2: health.overfit_gap.val: no metric of this recipe gives val/mIoU; "
            "did you mean 'val/miou'?",
        ),
    ],
)
def test_metric_that_nothing_gives_is_found_before_the_training(text, said, capsys):
    assert train(text + "\n") == 2
    assert said in capsys.readouterr().err
    assert not Path("run").exists()


def test_expectation_of_another_scale_may_name_classes_of_other_data():
    assert train("expect: [{metric: val/iou/elsewhere, min: 1, scale: full}]\n") == 0


def test_run_folder_that_is_a_file_is_wrong_usage(capsys):
    Path("run").write_text("")
    assert train("") == 2
    assert "run: is a file; name a new folder with --out" in capsys.readouterr().err


def test_smoke_keeps_its_table_on_stdout_and_messages_on_stderr(capsys):
    Path("bad.yaml").write_text("extends: uav_baseline\ntrain: {epoch: 1}\n")
    assert main(["smoke", "bad.yaml"]) == 1
    out, err = capsys.readouterr()
    assert out == "bad.yaml: FAILED\n"
    assert "did you mean 'epochs'?" in err


@pytest.mark.parametrize(
    ("field", "value"), [("state", "finished"), ("scale", 3), ("exit_code", "no"), ("plugins", [])]
)
def test_run_record_with_an_invalid_field_is_refused(field, value, capsys):
    Path("run").mkdir()
    Path("run/run.json").write_text(json.dumps({"id": "a", "recipe": "b", field: value}))
    assert main(["train", "--resume", "run"]) == 3
    assert f"run.json: {field}: " in capsys.readouterr().err


@pytest.mark.parametrize("key", ["cache", "runs", "data"])
def test_home_of_a_user_that_there_is_not_is_named(key, capsys):
    value = "{mine: ~nobody-here/x}" if key == "data" else "~nobody-here/x"
    Path("machine.yaml").write_text(f"workers: 0\n{key}: {value}\n")
    assert train("") == 2
    told = capsys.readouterr().err
    assert f"machine.yaml:2: {key}" in told
    assert "no user 'nobody-here'" in told


def test_data_of_a_user_that_there_is_not_is_named(capsys):
    assert train("", "--data", "~nobody-here/x") == 2
    assert "no user 'nobody-here'" in capsys.readouterr().err


def test_empty_data_folder_is_not_the_one_we_are_in(capsys):
    assert train("", "--data", "") == 2
    assert "--data: is empty" in capsys.readouterr().err
    assert train("data: {params: {root: ''}}\n") == 2
    assert "mine.yaml:2: data.params.root: is empty" in capsys.readouterr().err


def runner(words: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m runner {words}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True)


@pytest.mark.parametrize("words", ["list", "--help", "show uav_fixed"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk_is_the_machines_fault(words):
    done = runner(f"{words} > /dev/full")
    assert done.returncode == 7
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_pipe_that_is_closed_early_is_no_error():
    done = runner("list losses --json | head -c 1; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == ("[0\n", "")


def test_data_that_go_wrong_while_training_leave_a_failed_run(capsys):
    assert main(["sample", "uav", "--out", "data"]) == 0
    for image in Path("data/original_images").iterdir():
        content = image.read_bytes()
        image.write_bytes(content[: len(content) // 2])
    assert train("", "--data", "data") == 3
    assert "original_images" in capsys.readouterr().err
    if Path("run").exists():
        record = json.loads(Path("run/run.json").read_text())
        assert (record["state"], record["exit_code"]) == ("failed", 3)
        assert "original_images" in record["reason"]


def test_lints_are_among_the_first_lines_and_allowed_ones_by_name(capsys):
    assert train("allow: {unhandled_imbalance: seen, validation_at_another_scale: meant}\n") == 0
    scale, lint, allowed = capsys.readouterr().err.splitlines()[:3]
    assert scale.startswith("mine: scale smoke")
    assert lint.startswith("lint: ") and ": task.params.loss: inverted_class_weights: " in lint
    assert allowed == (
        "lints that the recipe allows: unhandled_imbalance, validation_at_another_scale"
    )


def test_allowing_what_no_lint_is_called_is_found_before_the_training(capsys):
    assert train("allow: {unhandled_imbalances: seen}\n") == 2
    told = capsys.readouterr().err
    assert "mine.yaml:2: allow.unhandled_imbalances: no lint is called" in told
    assert "did you mean 'unhandled_imbalance'?" in told
    assert not Path("run").exists()


@pytest.mark.parametrize("monitor", ["{metric: val/miou}", "{metric: val/loss, mode: min}"])
@pytest.mark.parametrize("values", [[99], [99, 1, 2, 3, 4]])
def test_validation_masks_of_no_class_are_named_at_the_first_evaluation(monitor, values, capsys):
    assert main(["sample", "uav", "--out", "data"]) == 0
    images = sorted(path.stem for path in Path("data/original_images").iterdir())
    for split, names in (("train", images[1:]), ("val", images[:1])):
        Path(f"data/{split}.txt").write_text("\n".join(f"original_images/{n}.jpg" for n in names))
    mask = Path(f"data/label_images_semantic/{images[0]}.png")
    with Image.open(mask) as drawn:
        drawn_over = Image.new("L", drawn.size, values[0])
    for place, value in enumerate(values):
        drawn_over.putpixel((place, 0), value)
    drawn_over.save(mask)
    draft = (
        "data: {params: {root: data, splits: {lists: {train: train.txt, val: val.txt}},\n"
        f"  classes: {{ignore: [99]}}}}}}\nmonitor: {monitor}\nexpect: []\n"
    )
    is_measured = len(values) > 1
    assert train(draft) == (0 if is_measured else 3)
    said = capsys.readouterr().err
    nothing = "metrics.0: measures nothing: no pixel of the validation split has a class, all are"
    assert (nothing in said) != is_measured


def test_monitored_class_that_no_validation_mask_has_is_named(capsys):
    assert main(["sample", "uav", "--out", "data"]) == 0
    draft = (
        "data: {params: {root: data, classes: {tree: [99]}}}\n"
        "task: {params: {loss: {name: cross_entropy}}}\n"
        "monitor: {metric: val/accuracy/tree}\n"
    )
    assert train(draft) == 3
    said = capsys.readouterr().err
    assert "mine.yaml:4: monitor.metric: val/accuracy/tree does not exist: no pixel of the" in said
    assert "validation split is tree; split the data anew, or monitor another (val/loss, " in said
