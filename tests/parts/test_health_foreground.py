import pytest

from runner.contracts import History, Progress
from runner.errors import RecipeError
from runner.events import Evaluated, Stepped
from runner.registry import health

EPOCHS, STEPS_PER_EPOCH = 100, 10


def evaluated(epoch, **values):
    values = {f"val/{name}": value for name, value in values.items()}
    return Evaluated(step=epoch * STEPS_PER_EPOCH, epoch=epoch, values=values)


def stepped(epoch, loss):
    return Stepped(step=epoch * STEPS_PER_EPOCH, epoch=epoch, values={"train/loss": loss})


def history(*events):
    epoch = max(event.epoch for event in events)
    return History(
        progress=Progress(epoch * STEPS_PER_EPOCH, epoch, epoch / EPOCHS),
        stepped=[event for event in events if isinstance(event, Stepped)],
        evaluated=[event for event in events if isinstance(event, Evaluated)],
        monitor="val/dice",
        mode="max",
        classes=("background", "surface"),
    )


def findings(name, params, *events):
    return health.parse({"name": name, "params": params}).build()(history(*events))


def said(name, params, *events):
    return [finding.level for finding in findings(name, params, *events)]


@pytest.mark.parametrize(
    ("predicted", "labelled", "level"),
    [
        (0.95, 0.05, ["warning"]),
        (0.02, 0.05, ["warning"]),
        (0.05, 0.05, []),
        (0.10, 0.05, []),
        (0.5, 0.0, []),
    ],
)
def test_a_foreground_beside_the_labelled_one_is_a_warning(predicted, labelled, level):
    event = evaluated(5, foreground_share_predicted=predicted, foreground_share_labelled=labelled)
    assert said("foreground_ratio", {}, event) == level
    assert said("foreground_ratio", {"grace": 0.06}, event) == []


def test_the_ratio_names_both_shares_and_the_cure():
    event = evaluated(5, foreground_share_predicted=0.95, foreground_share_labelled=0.05)
    (finding,) = findings("foreground_ratio", {}, event)
    assert finding.value == pytest.approx(19)
    assert finding.message == ("predicted foreground is 95.0%, labelled 5.0%: 19 times, above 2")
    assert "labels" in finding.advice


def test_a_ratio_that_came_right_is_good_once():
    events = [
        evaluated(n, foreground_share_predicted=share, foreground_share_labelled=0.1)
        for n, share in enumerate([0.9, 0.1, 0.1], 1)
    ]
    assert said("foreground_ratio", {}, *events[:2]) == ["good"]
    assert said("foreground_ratio", {}, *events) == []


def test_bounds_of_the_ratio_must_rise():
    with pytest.raises(RecipeError, match="low must be below high"):
        health["foreground_ratio"].factory(low=2.0, high=2.0)


@pytest.mark.parametrize(("std", "level"), [(0.001, ["warning"]), (0.02, []), (0.3, [])])
def test_a_prediction_without_spread_is_a_warning(std, level):
    assert said("prediction_variance", {}, evaluated(5, probability_std=std)) == level
    assert said("prediction_variance", {"grace": 0.1}, evaluated(5, probability_std=std)) == []


@pytest.mark.parametrize(
    ("dice", "level"), [(0.795, "critical"), (0.81, "critical"), (0.82, "good"), (0.5, "critical")]
)
def test_dice_is_held_against_foreground_everywhere(dice, level):
    # At a share of 0.66 foreground everywhere has a Dice of 2 * 0.66 / 1.66 = 0.795.
    event = evaluated(5, dice=dice, foreground_share_labelled=0.66)
    assert said("constant_predictor", {}, event) == [level]
    assert said("constant_predictor", {"grace": 0.1}, event) == []


def test_a_constant_predictor_stops_where_it_is_told_to():
    event = evaluated(5, dice=0.1, foreground_share_labelled=0.66)
    (finding,) = findings("constant_predictor", {"stops": True}, event)
    assert finding.stops
    assert finding.threshold == pytest.approx(2 * 0.66 / 1.66)


@pytest.mark.parametrize("name", ["foreground_ratio", "prediction_variance", "constant_predictor"])
def test_a_rule_without_its_metric_says_so(name):
    events = [stepped(1, 1.0), evaluated(1, miou=0.5)]
    assert set(said(name, {}, *events)) == {"warning"}
    assert "nothing gives val/" in findings(name, {}, *events)[0].message


BELOW = {"below": 0.3, "by_epoch": 10.0}


def test_a_loss_must_be_low_by_its_epoch():
    assert said("loss_below", BELOW, stepped(9, 0.4)) == []
    assert said("loss_below", BELOW, stepped(9, 0.4), stepped(10, 0.3)) == ["warning"]
    assert said("loss_below", BELOW, stepped(9, 0.29), stepped(10, 0.4)) == ["good"]


def test_a_loss_that_comes_down_late_is_good():
    assert said("loss_below", BELOW, stepped(20, 0.4), stepped(21, 0.2)) == ["good"]


def losses(*values):
    return [evaluated(10 * number, loss=value) for number, value in enumerate(values, 1)]


IMPROVES = {"by": 0.1, "within_epochs": 50.0}


def test_a_loss_must_have_improved_within_its_epochs():
    assert said("loss_improves", IMPROVES, *losses(0.4, 0.4, 0.4, 0.4)) == []
    assert said("loss_improves", IMPROVES, *losses(0.4, 0.4, 0.4, 0.4, 0.31)) == ["warning"]
    assert said("loss_improves", IMPROVES, *losses(0.4, 0.29)) == ["good"]


def test_what_improves_after_its_epochs_came_too_late():
    assert said("loss_improves", IMPROVES, *losses(0.4, 0.4, 0.4, 0.4, 0.4, 0.1)) == ["warning"]
