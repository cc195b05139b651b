"""Classes and figures that a recipe will not have are told without data, and nothing else is."""

import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import main
from runner.errors import RecipeError
from runner.language.load import load_at_every_scale, load_written
from runner.language.misfits import classes_of

MAPPING = """\
source_id,source_name,target_id,target_name
0,sky,255,
1,grass,0,ground
2,paving,0,ground
3,oak,1,tree
"""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNNER_MACHINE", raising=False)


def told(text: str, base: str = "uav_baseline") -> list[str]:
    Path("mine.yaml").write_text(f"extends: {base}\n{text}")
    try:
        load_at_every_scale("mine.yaml")
    except RecipeError as error:
        return [str(problem).removeprefix("mine.yaml:") for problem in error.problems]
    return []


def mapped(folder: str = "photos", mapping: str = MAPPING) -> str:
    Path(folder).mkdir(exist_ok=True)
    Path(folder, "classes.csv").write_text(mapping)
    return f"data: {{params: {{root: {folder}, mapping: classes.csv}}}}\n"


LOSS = "task: {{params: {{loss: {{params: {{{}}}}}}}}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            LOSS.format("class_weights: [1, 2]"),
            "2: task.params.loss.params.class_weights: 2 weights for 4 classes; write one for each "
            "of background, safe, caution, danger",
        ),
        (
            LOSS.format("class_weights: {background: 1, safe: 1, caution: 1}"),
            "2: task.params.loss.params.class_weights: danger: no weight; add it for each class",
        ),
        (
            LOSS.format("penalties: {dagner: {safe: 2}}"),
            "2: task.params.loss.params.penalties.dagner: no class is called 'dagner'; did you "
            "mean 'danger'? (classes: background, safe, caution, danger)",
        ),
        (
            LOSS.format("penalties: {safe: {sky: 2}}"),
            "2: task.params.loss.params.penalties.safe.sky: no class is called 'sky'; known here: "
            "background, safe, caution, danger",
        ),
        (
            "task: {params: {loss: {name: cross_entropy, params: {weights: [1, 2, 3, 4, 5]}}}}\n",
            "2: task.params.loss.params.weights: 5 weights for 4 classes; write one for each "
            "of background, safe, caution, danger",
        ),
        (
            "task: {params: {loss: {name: weighted_sum, params: {terms: {\n"
            "  focal: {weight: 1, loss: {name: balanced_focal, params: {alpha: [1]}}}}}}}}\n",
            "3: task.params.loss.params.terms.focal.loss.params.alpha: 1 weights for 4 classes; "
            "write one for each of background, safe, caution, danger",
        ),
        (
            "sampler: {name: rare_class_crops, params: {classes: [safe, dagner]}}\n",
            "2: sampler.params.classes.1: no class is called 'dagner'; did you mean 'danger'? "
            "(classes: background, safe, caution, danger)",
        ),
        (
            "metrics: [{name: confusion_matrix, params: {rates: {wrong: [dagner, safe]}}}]\n",
            "2: metrics.0.params.rates.wrong.0: no class is called 'dagner'; did you mean "
            "'danger'? (classes: background, safe, caution, danger)",
        ),
        (
            "monitor: {metric: val/miuo}\n",
            "2: monitor.metric: no metric of this recipe gives val/miuo; did you mean 'val/miou'?",
        ),
        (
            "expect: [{metric: val/iou/dagner, min: 1}]\n",
            "2: expect.0.metric: no metric of this recipe gives val/iou/dagner; "
            "did you mean 'val/iou/danger'?",
        ),
        (
            "expect: [{metric: val/iou/dagner, min: 1, scale: sample}]\n",
            "2: expect.0.metric: no metric of this recipe gives val/iou/dagner; "
            "did you mean 'val/iou/danger'?",
        ),
        (
            "health:\n  goal:\n    above:\n      val/acuracy/safe: 0.5\n",
            "5: health.goal.above.val/acuracy/safe: no metric of this recipe gives "
            "val/acuracy/safe; did you mean 'val/accuracy/safe'?",
        ),
        (
            "health: {goal: {above: {mIoU: 0.5}}}\n",
            "2: health.goal.above.mIoU: nothing in this recipe gives mIoU; did you mean "
            "'val/miou'?",
        ),
        (
            "health: {overfit_gap: {train: train/los}}\n",
            "2: health.overfit_gap.train: the task of this recipe never gives train/los; "
            "did you mean 'train/loss'?",
        ),
        (
            "health: {overfit_gap: {warning: 3.0, critical: 1.0}}\n",
            "2: health.overfit_gap: gaps must rise from good to warning to critical, but are "
            "[3.0, 1.0]; correct them",
        ),
        (
            "metrics: [{name: confusion_matrix}, {name: confusion_matrix}]\n",
            "2: metrics.1: gives val/iou/background (and 13 more), as metrics.0 does; remove one",
        ),
    ],
)
def test_what_training_would_find_is_told_with_its_line(text, said):
    assert told(text) == [said]


def test_misfits_stand_beside_all_else_that_is_wrong():
    lines = told(
        "train: {epoch: 3}\n"
        "metrics: [{name: confusion_matrix, params: {rate: {}}}]\n"
        "monitor: {metric: val/anything}\n"
        "sampler: {name: rare_class_crops, params: {classes: [dagner]}}\n"
        "health: {overfit_gap: {trian: train/loss}, high_loss: {metric: train/los}}\n"
    )
    assert sorted(line.split(": ")[1] for line in lines) == [
        "health.high_loss.metric", "health.overfit_gap.trian", "metrics.0.params.rate",
        "sampler.params.classes.0", "train.epoch",
    ]  # fmt: skip


def test_classes_of_a_mapping_file_are_read_where_it_lies():
    text = mapped() + "sampler: {name: rare_class_crops, params: {classes: [tree, trea]}}\n"
    assert told(text, base="segmentation") == [
        "3: sampler.params.classes.1: no class is called 'trea'; did you mean 'tree'? "
        "(classes: ground, tree)"
    ]


@pytest.mark.parametrize("mapping", [None, "source_id,source_name\n1,grass\n"])
def test_classes_that_only_the_data_tell_raise_no_alarm(mapping):
    text = mapped(mapping=mapping or MAPPING)
    if mapping is None:
        Path("photos/classes.csv").unlink()
    loss = "task: {params: {loss: {name: balanced_focal, params: {alpha: [1, 2, 3]}}}}\n"
    figures = (
        "metrics: [{name: confusion_matrix, params: {rates: {wrong: [a, b]}}}]\n"
        "expect: [{metric: val/iou/elsewhere, min: 1}]\nmonitor: {metric: val/wrong}\n"
        "health: {goal: {above: {val/iou/else*: 0.5}}}\n"
    )
    assert told(text + loss + figures) == []
    lines = told(text + loss + figures.replace("val/wrong", "val/wrnog"))
    assert [line.split("; ")[0] for line in lines] == [
        "6: monitor.metric: no metric of this recipe gives val/wrnog"
    ]


def test_what_a_sample_maps_is_not_held_against_data_given_later():
    assert told("task: {params: {thresholds: {sky: 0.5}}}\n", base="s4gan_v3") == []


def test_misfit_that_is_inherited_names_the_base_and_the_cure():
    Path("data").mkdir()
    text = "data: {params: {root: data, classes: null, mapping: classes.csv}}\nexpect: []\n"
    Path("data/classes.csv").write_text(MAPPING)
    (weights,) = [line for line in told(text, base="uav_fixed") if "alpha" in line]
    assert "uav_fixed.yaml:30: task.params.loss.params.alpha: 4 weights for 2 classes" in weights
    assert weights.endswith("of ground, tree; inherited: write it anew")


def test_class_called_ignore_is_none():
    written = "data: {params: {classes: {ignore: [24]}}}\n"
    Path("mine.yaml").write_text("extends: segmentation\n" + written)
    found = classes_of(load_written("mine.yaml").recipe)
    assert found == ("background", "safe", "caution", "danger")


OWN = """\
from runner.registry import datasets, health, losses, metrics, tasks
from runner.rules import rule

@metrics.register
def own_metric(spec, /, *, a: int = 1): ...

@metrics.register
def told_metric(spec, /, *, name: str = "own"): ...

@metrics.foretells(told_metric)
def _(params, classes):
    return [params.name]

@tasks.register
def own_task(spec, /): ...

@datasets.register
def own_data(context, /, *, root: str = ".", classes: int = 3): ...

@health.register
def own_rule():
    return rule("own_rule", lambda history: (), "val/elsewhere")

@health.register
def raising_rule():
    raise KeyError("boo")
"""


@pytest.fixture
def own_parts(plugins_forgotten):
    del plugins_forgotten
    from runner.language.plugins import load_plugins

    Path("own.py").write_text(OWN)
    load_plugins([Path("own.py")])


@pytest.mark.usefixtures("own_parts")
@pytest.mark.parametrize(
    "text",
    [
        "metrics: [{name: own_metric}]\nmonitor: {metric: val/of_my_own}\n",
        "task: {name: own_task}\nhealth: {high_loss: {metric: train/of_my_own}}\n",
        "data: {name: own_data}\nexpect: [{metric: val/iou/elsewhere, min: 1}]\n",
    ],
)
def test_own_part_that_says_nothing_raises_no_alarm(text):
    assert told(text) == []


@pytest.mark.usefixtures("own_parts")
def test_own_part_may_say_what_it_gives():
    text = "metrics: [{{name: told_metric, params: {{name: depth}}}}]\nmonitor: {{metric: {}}}\n"
    text += "health: {{goal: null, dead_class: null, over_weighted_class: null}}\nexpect: []\n"
    assert told(text.format("val/depth")) == []
    assert told(text.format("val/dpeth")) == [
        "3: monitor.metric: no metric of this recipe gives val/dpeth; did you mean 'val/depth'?"
    ]


@pytest.mark.usefixtures("own_parts")
def test_own_rule_is_asked_what_it_reads_and_blamed_where_it_raises():
    first, second = told("health:\n  own_rule: {}\n  raising_rule: {}\n")
    assert "own.py:26: --plugin: KeyError: 'boo'" in first
    assert second.startswith("3: health.own_rule: no metric of this recipe gives val/elsewhere")


def test_train_tells_all_misfits_before_the_data_are_looked_for(capsys):
    Path("mine.yaml").write_text(
        "extends: uav_baseline\ndata: {params: {root: nowhere}}\n"
        "monitor: {metric: val/miuo}\n" + LOSS.format("class_weights: [1]")
    )
    assert main(["train", "mine.yaml"]) == 2
    said = capsys.readouterr().err
    assert "mine.yaml:3: monitor.metric" in said and "1 weights for 4 classes" in said
    assert main(["train", "uav_baseline", "--set", "monitor.metric=val/miuo"]) == 2
    assert "--set monitor.metric=val/miuo: monitor.metric: no metric" in capsys.readouterr().err


def test_mapping_is_read_without_numpy_and_torch():
    Path("mine.yaml").write_text(
        "extends: segmentation\n" + mapped() + "health: {goal: {above: {val/iou/sky: 0.5}}}\n"
    )
    code = "import sys\nfrom runner.cli import main\nprint(main(['validate', 'mine.yaml']))\n"
    code += "print({'torch', 'numpy', 'cv2', 'omegaconf'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "2\nset()\n"
    assert "no metric of this recipe gives val/iou/sky" in done.stderr
