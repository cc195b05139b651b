import pytest

from runner.contracts import DataSpec, History, Horizon, Progress
from runner.errors import RecipeError
from runner.events import Evaluated, Stepped
from runner.language.load import load, load_written
from runner.language.source import published
from runner.registry import health, models, schedules, tasks

SPEC = DataSpec(("cow", "dog"))
EPOCHS = 150
VERSIONS = [f"yolov8_{name}" for name in ("original", "badfix", "fixed", "negatives", "corrected")]


def history(*events):
    step = max((event.step for event in events), default=0)
    return History(
        progress=Progress(step=step, epoch=step, fraction=step / EPOCHS),
        stepped=[event for event in events if isinstance(event, Stepped)],
        evaluated=[event for event in events if isinstance(event, Evaluated)],
        monitor="val/map50", mode="max", classes=SPEC.classes,
    )  # fmt: skip


def evaluated(epoch, **values):
    named = {f"val/{name.replace('__', '/')}": value for name, value in values.items()}
    return Evaluated(step=epoch, epoch=epoch, values=named)


def stepped(epoch, **values):
    named = {f"train/{name.replace('__', '/')}": value for name, value in values.items()}
    return Stepped(step=epoch, epoch=epoch, values=named)


def said(name, params, *events):
    rule = health.parse({"name": name, "params": params}).build()
    return [(finding.level, finding.subject) for finding in rule(history(*events))]


MARKS = {
    "metric": "val/map50",
    "at": [
        {"epoch": 10, "min": 0.3, "good": 0.4, "excellent": 0.5},
        {"epoch": 150, "min": 0.6, "good": 0.7, "excellent": 0.75},
    ],
}


@pytest.mark.parametrize(
    ("epoch", "value", "wanted"),
    [
        (9, 0.1, []),
        (10, 0.29, [("warning", "val/map50@10")]),
        (10, 0.35, []),
        (10, 0.45, [("good", "val/map50@10")]),
        (149, 0.65, [("good", "val/map50@10")]),
        (150, 0.59, [("warning", "val/map50@150")]),
        (150, 0.8, [("good", "val/map50@150")]),
    ],
)
def test_milestones_are_those_of_the_seed(epoch, value, wanted):
    assert said("milestones", MARKS, evaluated(epoch, map50=value)) == wanted


def test_milestones_must_rise():
    with pytest.raises(RecipeError, match="must rise"):
        said("milestones", {**MARKS, "at": MARKS["at"][::-1]}, evaluated(10, map50=1.0))


def test_a_loss_that_rises_twice_is_a_warning():
    rising = [evaluated(n, loss=value) for n, value in enumerate((2.4, 2.9, 2.8, 2.85, 2.9), 1)]
    assert said("rising_in_a_row", {}, *rising[:4]) == []
    assert said("rising_in_a_row", {}, *rising) == [("warning", "val/loss")]


def test_boxes_of_one_class_only_are_a_warning():
    shares = {"predicted_share__cow": 1.0, "predicted_share__dog": 0.0}
    assert said("one_class_only", {}, evaluated(14, **shares)) == []
    assert said("one_class_only", {}, evaluated(30, **shares)) == [("warning", "cow")]
    fair = {"predicted_share__cow": 0.9, "predicted_share__dog": 0.1}
    assert said("one_class_only", {}, evaluated(30, **fair)) == []


def test_a_box_at_every_place_is_a_warning():
    assert said("box_at_every_place", {}, evaluated(30, places_with_box=1.0)) == [
        ("warning", "val/places_with_box")
    ]
    assert said("box_at_every_place", {}, evaluated(30, places_with_box=0.05)) == []


def test_no_match_at_all_is_critical():
    assert said("no_positives", {}, stepped(3, loss__box=0.0)) == [("critical", "train/loss/box")]
    assert said("no_positives", {}, stepped(3, loss__box=0.1)) == []


@pytest.mark.parametrize(("start", "rates"), [(0.0, (0.1, 0.2, 1.0)), (0.5, (0.55, 0.6, 1.0))])
def test_the_staircase_is_the_seeds_warm_up(start, rates):
    params = {
        "warmup": {"epochs": 10}, "warmup_start_factor": start, "warmup_shape": "staircase",
    }  # fmt: skip
    part = schedules.parse({"name": "cosine", "params": params})
    schedule = part.build(Horizon(steps=1500, epochs=150, learning_rate=1e-3))

    def at(step):
        return schedule(Progress(step, step / 10, step / 1500))

    got = (at(0), at(10), at(99))
    assert got == pytest.approx(rates)
    assert at(9) == at(0), "it rises with the epoch, not with the step"
    assert at(800) == pytest.approx(0.5), "then half a cosine to the end"


def test_a_staircase_without_a_warm_up_is_refused():
    with pytest.raises(RecipeError, match="shape of a warm-up"):
        part = schedules.parse({"name": "cosine", "params": {"warmup_shape": "staircase"}})
        part.build(Horizon(steps=10, epochs=1, learning_rate=1e-3))


def test_a_head_without_a_backbone_says_where_it_belongs():
    with pytest.raises(RecipeError, match="task detection"):
        models.parse({"name": "yolov8_head"}).build(SPEC)


@pytest.mark.parametrize(
    ("backbone", "head", "key"),
    [
        ("conv_unet", "yolov8_head", "backbone.name"),
        ("conv_backbone", "conv_unet", "head.name"),
    ],
)
def test_what_is_no_detectors_part_is_refused(backbone, head, key):
    params = {
        "backbone": {"name": backbone},
        "head": {"name": head},
        "loss": {"name": "task_aligned"},
    }
    with pytest.raises(RecipeError) as raised:
        tasks.parse({"name": "detection", "params": params}).build(SPEC)
    assert [problem.key for problem in raised.value.problems] == [key]


def loss_params(name):
    return load_written(name).recipe.task.params.loss.params


SEED = {
    "yolov8_original": ((0.3, 0.5, 10), 2.0, 0.001, 2e-3, (5.0, 1.0), 10.0, 0.0),
    "yolov8_badfix": ((0.2, 0.4, 20), 2.5, 0.05, 2e-3, (5.0, 1.0), 10.0, 0.0),
    "yolov8_fixed": ((0.25, 0.45, 30), 2.0, 0.25, 1e-3, (7.5, 0.5), 4.0, 0.5),
}


@pytest.mark.parametrize("name", SEED)
def test_the_recipes_hold_the_seeds_values(name):
    recipe = load_written(name).recipe
    match, gamma, score, rate, weights, clamp, warmup = SEED[name]
    loss = loss_params(name)
    assert (loss.match.start, loss.match.end, loss.match.epochs) == match
    assert loss.gamma == gamma
    assert loss.negatives is False
    assert (loss.box_weight, loss.class_weight) == weights
    assert recipe.metrics[0].params.score_threshold == score
    assert recipe.optimizer.params.lr == rate
    assert recipe.optimizer.params.weight_decay == 5e-4
    head = recipe.task.params.head.params
    assert (head.size_clamp, head.dropout, head.centre_offset) == (clamp, 0.3, 0.5)
    schedule = recipe.schedule.params
    assert (schedule.warmup_start_factor, schedule.warmup_shape) == (warmup, "staircase")
    assert (recipe.train.batch_size, recipe.train.accumulate) == (4, 4)
    assert recipe.train.epochs == EPOCHS


def test_the_fixed_recipes_box_weight_reaches_the_loss_that_is_built():
    built = {
        weight: load("yolov8_fixed", sets=[f"task.params.loss.params.box_weight={weight}"])
        .recipe.task.params.loss.build(SPEC)
        .box_weight
        for weight in (7.5, 3.0)
    }
    assert built == {7.5: 7.5, 3.0: 3.0}
    assert load("yolov8_fixed").recipe.task.params.loss.build(SPEC).box_weight == 7.5


@pytest.mark.parametrize("name", VERSIONS)
def test_every_version_is_measured_by_one_protocol(name):
    assert name in published()
    assert load_written(name).recipe.metrics[0].params.also_at == (0.001, 0.25)


@pytest.mark.parametrize("name", VERSIONS)
def test_the_sample_shrinks_both_heads_alike(name):
    recipe = load(name, data="sample:yolov8").recipe
    assert recipe.scale == "sample"
    assert recipe.task.params.backbone.name == "conv_backbone"
    assert recipe.data.params.size == (128, 128)
