import math

import pytest
from pydantic import ValidationError

from runner.contracts import History, Progress
from runner.errors import RecipeError
from runner.events import Evaluated, Stepped
from runner.registry import health
from runner.rules import OnTrial

STEPS = 100
CLASSES = ("void", "safe")


def stepped(step, **values):
    return Stepped(step=step, epoch=step / 10, values={f"train/{k}": v for k, v in values.items()})


def evaluated(step, values):
    return Evaluated(step=step, epoch=step / 10, values={f"val/{k}": v for k, v in values.items()})


def scores(void_iou, void_accuracy=0.9, safe_iou=0.8):
    return {
        "iou/void": void_iou, "accuracy/void": void_accuracy,
        "iou/safe": safe_iou, "accuracy/safe": 0.9, "miou": (void_iou + safe_iou) / 2,
    }  # fmt: skip


def history(*events, monitor="val/miou", mode="max"):
    step = max((event.step for event in events), default=0)
    return History(
        progress=Progress(step=step, epoch=step / 10, fraction=step / STEPS),
        stepped=[event for event in events if isinstance(event, Stepped)],
        evaluated=[event for event in events if isinstance(event, Evaluated)],
        monitor=monitor,
        mode=mode,
        classes=CLASSES,
    )


def said(name, params, *events, **more):
    """Return (level, subject) of each finding of a rule as a recipe would name it."""
    rule = health.parse({"name": name, "params": params}).build()
    return [(finding.level, finding.subject) for finding in rule(history(*events, **more))]


@pytest.mark.parametrize("name", list(health))
def test_a_rule_describes_each_of_its_parameters(name):
    fields = health[name].params.model_fields
    assert health[name].summary.endswith(".")
    assert all(field.description for field in fields.values())


def test_a_rule_on_trial_says_what_it_cannot_read_and_no_more():
    rule = health.parse({"name": "loss_below", "params": {"below": 0.5, "by_epoch": 0.1}}).build()
    done = history(stepped(1, loss=1.0), evaluated(1, scores(0.0)))
    assert [finding.level for finding in rule(done)] == ["warning"]
    assert OnTrial(rule)(done) == []
    params = {"below": 0.5, "by_epoch": 0.1, "metric": "train/lost"}
    misspelt = OnTrial(health.parse({"name": "loss_below", "params": params}).build())
    assert misspelt.reads == ("train/lost",)
    assert ["nothing gives train/lost" in each.message for each in misspelt(done)] == [True]


def test_a_rule_of_the_users_own_is_asked_on_trial():
    def broken(_):
        raise ValueError("asked")

    with pytest.raises(ValueError, match="asked"):
        OnTrial(broken)(history(stepped(1)))


DEAD = {"grace": 0.3, "good_iou": 0.5}


def test_a_dead_class_is_critical_after_the_grace():
    assert said("dead_class", DEAD, evaluated(29, scores(0.0))) == [("good", "safe")]
    assert said("dead_class", DEAD, evaluated(30, scores(0.0))) == [
        ("critical", "void"),
        ("good", "safe"),
    ]


def test_a_class_whose_accuracy_alone_is_nought_is_dead():
    assert ("critical", "void") in said("dead_class", DEAD, evaluated(50, scores(0.2, 0.0)))


def test_a_class_that_the_split_does_not_hold_is_not_dead():
    assert said("dead_class", DEAD, evaluated(50, scores(math.nan, math.nan))) == [("good", "safe")]


def test_class_of_which_validation_has_no_pixel_is_told_from_one_never_predicted():
    values = scores(0.0)
    del values["accuracy/void"]
    assert said("dead_class", DEAD, evaluated(1, values)) == [("warning", "void"), ("good", "safe")]
    rule = health.parse({"name": "dead_class", "params": {"grace": 0.0, "stops": True}}).build()
    (finding,) = rule(history(evaluated(50, values)))
    assert finding.message == "class void: no pixel of the validation split is void"
    assert "split the data anew" in finding.advice and "{void: [255]}" in finding.advice
    assert "weight" not in finding.advice and not finding.stops
    del values["iou/void"]
    assert ("warning", "void") in said("dead_class", DEAD, evaluated(50, values))
    later = [evaluated(50, values), evaluated(60, scores(0.2))]
    assert ("good", "void") in said("dead_class", {"grace": 0.3}, *later)


def test_dead_class_of_a_metric_without_accuracies_is_dead():
    values = {key: value for key, value in scores(0.0).items() if "accuracy" not in key}
    assert ("critical", "void") in said("dead_class", DEAD, evaluated(50, values))


def test_a_class_that_came_to_life_is_well_again():
    events = [evaluated(50, scores(0.0)), evaluated(60, scores(0.2))]
    assert ("good", "void") in said("dead_class", {"grace": 0.3}, *events)
    assert said("dead_class", {"grace": 0.3}, *events, evaluated(70, scores(0.2))) == []


def test_a_finding_has_figure_threshold_and_cure():
    rule = health.parse({"name": "dead_class", "params": {"grace": 0.0, "stops": True}}).build()
    (finding,) = rule(history(evaluated(50, scores(0.01, 0.0))))
    assert (finding.rule, finding.step, finding.epoch) == ("dead_class", 50, 5.0)
    assert (finding.value, finding.threshold, finding.stops) == (0.0, 0.0, True)
    assert finding.message == "class void: accuracy 0 is not above 0"
    assert "weight" in finding.advice


@pytest.mark.parametrize(
    ("iou", "recall", "warns"), [(0.2, 0.8, True), (0.3, 0.8, False), (0.2, 0.7, False)]
)
def test_high_recall_with_low_iou_is_over_weighted(iou, recall, warns):
    params = {"recall": 0.7, "iou": 0.3}
    expected = [("warning", "void")] if warns else []
    assert said("over_weighted_class", params, evaluated(5, scores(iou, recall))) == expected


GOALS = {"above": {"val/iou/*": 0.5, "val/miou": 0.6}}


def test_a_goal_is_reached_when_every_metric_of_the_pattern_is_beyond_it():
    assert said("goal", GOALS, evaluated(1, scores(0.5))) == [("good", "val/miou")]
    both = [("good", "val/iou/*"), ("good", "val/miou")]
    assert said("goal", GOALS, evaluated(1, scores(0.51))) == both


def test_a_goal_that_was_lost_is_a_warning_that_says_since_when():
    rule = health.parse({"name": "goal", "params": {"below": {"val/error_px": 10.0}}}).build()
    values = [9.0, 8.0, 11.0, 12.0]
    events = [evaluated(step, {"error_px": value}) for step, value in enumerate(values, 1)]
    (finding,) = rule(history(*events))
    assert finding.level == "warning"
    assert finding.message == "val/error_px 12 is no longer below 10, as at step 2"


def test_a_rule_whose_metric_nothing_gives_says_so():
    rule = health.parse({"name": "goal", "params": {"above": {"val/mIoU": 0.5}}}).build()
    (finding,) = rule(history(stepped(1, loss=1.0), evaluated(1, {"miou": 0.9})))
    assert (finding.level, finding.subject) == ("warning", "val/mIoU")
    assert "there are: train/loss, val/miou" in finding.message


def standing(*values):
    return [evaluated(10 * n, {"miou": value}) for n, value in enumerate(values, 1)]


PLATEAU = {"window": 0.2, "level": 0.4, "min_delta": 0.01}


def test_a_metric_that_stands_still_below_the_level_is_a_plateau():
    assert said("plateau", PLATEAU, *standing(0.1, 0.3, 0.305, 0.31)) == [("warning", "val/miou")]
    assert said("plateau", PLATEAU, *standing(0.1, 0.3, 0.305, 0.32)) == []
    assert said("plateau", PLATEAU, *standing(0.3, 0.3)) == [], "the window is not over"
    assert said("plateau", PLATEAU, *standing(0.1, 0.5, 0.5, 0.5)) == [], "good enough"


def test_a_plateau_ends_with_the_next_improvement():
    ended = standing(0.1, 0.3, 0.3, 0.3, 0.5)
    assert said("plateau", PLATEAU, *ended) == [("good", "val/miou")]


def test_a_plateau_of_a_loss_is_read_downwards():
    low = {"monitor": "val/miou", "mode": "min"}
    params = {"window": 0.2, "stops": True}
    assert said("plateau", params, *standing(0.9, 0.5, 0.5, 0.6), **low) == [
        ("critical", "val/miou")
    ]
    assert said("plateau", params, *standing(0.9, 0.5, 0.5, 0.4), **low) == []


@pytest.mark.parametrize(
    ("val", "expected"),
    [(1.05, ["good"]), (1.12, []), (1.2, ["warning"]), (1.3, ["critical"]), (math.nan, [])],
)
def test_the_gap_is_graded(val, expected):
    params = {"good": 0.1, "warning": 0.15, "critical": 0.25}
    # Their mean is 1.0; what was logged before the last evaluation does not count.
    events = [stepped(5, loss=9.0), evaluated(5, {"loss": math.nan})]
    events += [evaluated(6, {"loss": 9.0}), stepped(8, loss=0.9), stepped(9, loss=1.1)]
    found = said("overfit_gap", params, *events, evaluated(10, {"loss": val}))
    assert [level for level, _ in found if level != "good" or expected] == expected


def test_gaps_that_do_not_rise_are_refused():
    with pytest.raises(RecipeError, match="must rise"):
        health["overfit_gap"].factory(warning=0.3, critical=0.2)


def test_a_falling_loss_is_good_and_a_rising_one_a_warning():
    params = {"window": 0.1, "good_drop": 0.1, "warning_rise": 0.1}

    def losses(before, after):
        return [stepped(n, loss=before if n <= 20 else after) for n in range(5, 31, 5)]

    assert said("loss_falling", params, *losses(1.0, 0.8)) == [("good", "train/loss")]
    assert said("loss_falling", params, *losses(1.0, 1.2)) == [("warning", "train/loss")]
    assert said("loss_falling", params, *losses(1.0, 0.95)) == []
    assert said("loss_falling", params, *losses(1.0, 0.5)[:3]) == [], "too early"


def test_a_loss_far_above_its_first_is_critical():
    params = {"times_first": 3.0}
    first = stepped(1, loss=2.0)
    assert said("high_loss", params, first, stepped(2, loss=6.0)) == []
    assert said("high_loss", params, first, stepped(2, loss=6.1)) == [("critical", "train/loss")]


@pytest.mark.parametrize(("now", "expected"), [(11.0, True), (0.9, False), (0.01, True)])
def test_a_gradient_away_from_its_median_is_a_warning(now, expected):
    params = {"exploding": 10.0, "vanishing": 0.05, "window": 5}
    usual = [stepped(n, grad_norm=value) for n, value in enumerate([1, 1, 1, 2, 0.5], 1)]
    found = said("gradient_norm", params, *usual, stepped(6, grad_norm=now))
    assert found == ([("warning", "train/grad_norm")] if expected else [])
    assert said("gradient_norm", params, *usual[1:], stepped(6, grad_norm=now)) == []


def test_the_gradients_of_each_group_are_watched():
    params = {"exploding": 10.0, "vanishing": 0.05, "window": 3}
    events = [Stepped(step=n, epoch=0, values={"train/grad_norm/x": 1.0}) for n in range(1, 4)]
    last = Stepped(step=4, epoch=0, values={"train/grad_norm/x": 99.0})
    assert said("gradient_norm", params, *events, last) == [("warning", "train/grad_norm/x")]


@pytest.mark.parametrize("name", list(health))
def test_a_rule_has_nothing_to_say_before_the_first_event(name):
    params = {
        "dead_class": DEAD, "over_weighted_class": {"recall": 0.7, "iou": 0.3}, "goal": GOALS,
        "plateau": PLATEAU, "overfit_gap": {"warning": 0.1}, "high_loss": {"times_first": 3.0},
        "loss_falling": {"window": 0.1, "good_drop": 0.0, "warning_rise": 0.1},
        "gradient_norm": {"exploding": 10.0, "vanishing": 0.05},
        "loss_below": {"below": 0.3, "by_epoch": 10.0},
        "loss_improves": {"by": 0.1, "within_epochs": 50.0},
        "foreground_ratio": {}, "prediction_variance": {}, "constant_predictor": {},
        "milestones": {"metric": "val/map50", "at": [{"epoch": 10.0, "min": 0.3}]},
        "phases": {"metric": "val/error_px/median", "below": [(0.1, 9.0)]},
        "best_long_past": {"window": 0.3}, "done_collapse": {},
        "rising_in_a_row": {}, "one_class_only": {}, "box_at_every_place": {}, "no_positives": {},
        "accepted_share": {"good": 0.1, "warning": 0.04, "critical": 0.01},
        "drop_from_best": {"warning": 0.05},
    }  # fmt: skip
    assert said(name, params[name]) == []
    assert said(name, params[name], stepped(0, loss=1.0)) == []


def test_thresholds_out_of_range_are_refused():
    with pytest.raises(ValidationError):
        health.parse({"name": "dead_class", "params": {"grace": 1.5}})
    with pytest.raises(RecipeError, match="no goal"):
        health["goal"].factory()
