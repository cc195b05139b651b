import pytest

from runner.contracts import History, Progress
from runner.errors import RecipeError
from runner.events import Evaluated, Stepped
from runner.registry import health

SHARES = {"good": 0.095, "warning": 0.038, "critical": 0.0095}


def history(*events):
    step = max(event.step for event in events)
    return History(
        progress=Progress(step=step, epoch=0, fraction=step / 100),
        stepped=[event for event in events if isinstance(event, Stepped)],
        evaluated=[event for event in events if isinstance(event, Evaluated)],
        monitor="val/miou",
        mode="max",
        classes=("a", "b"),
    )


def findings(name, params, *events):
    return health.parse({"name": name, "params": params}).build()(history(*events))


def accepted(share, step=50):
    return Stepped(step=step, epoch=0, values={"train/pseudo/accepted": share})


def scored(step, miou):
    return Evaluated(step=step, epoch=0, values={"val/miou": miou})


@pytest.mark.parametrize(
    ("share", "level"),
    [
        (0.0094, "critical"), (0.0096, "warning"), (0.0379, "warning"), (0.05, None),
        (0.0951, "good"), (0.95, "good"), (0.951, "warning"), (1.0, "warning"),
    ],
)  # fmt: skip
def test_the_accepted_share_is_judged_by_the_spec(share, level):
    found = findings("accepted_share", SHARES, accepted(share))
    assert [finding.level for finding in found] == ([level] if level else [])


def test_believing_all_is_told_from_believing_nothing():
    few, all_of_it = (
        findings("accepted_share", SHARES, accepted(share))[0] for share in (0.0, 1.0)
    )
    assert few.advice.startswith("lower the thresholds")
    assert all_of_it.advice.startswith("raise the thresholds")


def test_nothing_is_said_of_the_accepted_share_within_the_grace():
    params = {**SHARES, "grace": 0.1}
    assert not findings("accepted_share", params, accepted(0.0, step=9))
    assert findings("accepted_share", params, accepted(0.0, step=10))


def test_shares_that_do_not_rise_are_refused():
    with pytest.raises(RecipeError, match="must rise"):
        findings("accepted_share", {**SHARES, "good": 0.01}, accepted(0.5))


DROP = {"warning": 0.05, "critical": 0.2}


@pytest.mark.parametrize(
    ("now", "level"), [(0.8, None), (0.76, None), (0.74, "warning"), (0.5, "critical")]
)
def test_a_drop_from_the_best_is_judged_by_its_depth(now, level):
    found = findings("drop_from_best", DROP, scored(1, 0.3), scored(2, 0.8), scored(3, now))
    assert [finding.level for finding in found] == ([level] if level else [])


def test_a_recovery_is_told():
    events = [scored(1, 0.8), scored(2, 0.7), scored(3, 0.79)]
    [finding] = findings("drop_from_best", DROP, *events)
    assert (finding.level, finding.message[:9]) == ("good", "no longer")


def test_a_drop_that_stops_is_critical_at_the_only_distance_that_is_written():
    events = [scored(1, 0.8), scored(2, 0.7)]
    [finding] = findings("drop_from_best", {"warning": 0.05, "stops": True}, *events)
    assert (finding.level, finding.stops) == ("critical", True)
