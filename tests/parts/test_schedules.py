import math
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.contracts import Horizon, Progress
from runner.errors import RecipeError
from runner.registry import schedules

HORIZON = Horizon(steps=120, epochs=12, learning_rate=0.1)


def build(name: str, horizon: Horizon = HORIZON, **params: Any) -> Any:
    return schedules.parse({"name": name, "params": params}).build(horizon)


def factors(name: str, steps: int, **params: Any) -> list[float]:
    schedule = build(name, **params)
    return [schedule(Progress(step, step / 10, step / 120)) for step in range(steps)]


def torchs(make: Any, steps: int) -> list[float]:
    """Learning rates over 0.1 as torch's own schedule gives them."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    schedule = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"] / 0.1)
        optimizer.step()
        schedule.step()
    return rates


KINDS = torch.optim.lr_scheduler


def test_constant_stays() -> None:
    assert factors("constant", 120) == [1.0] * 120


def test_cosine_is_torchs() -> None:
    wanted = torchs(lambda o: KINDS.CosineAnnealingLR(o, 120, eta_min=0.01), 120)
    assert factors("cosine", 120, min_lr=0.01) == pytest.approx(wanted)


def test_cosine_stays_at_its_minimum_where_torchs_rises_again() -> None:
    values = factors("cosine", 120, duration={"epochs": 6}, min_lr=0.01)
    assert values[60:] == pytest.approx([0.1] * 60)
    assert values[30] == pytest.approx(0.55)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_warm_restarts_are_torchs(multiplier: int) -> None:
    wanted = torchs(
        lambda o: KINDS.CosineAnnealingWarmRestarts(o, 20, T_mult=multiplier, eta_min=1e-3), 120
    )
    found = factors(
        "cosine_warm_restarts", 120, first={"epochs": 2}, multiplier=multiplier, min_lr=1e-3
    )
    assert found == pytest.approx(wanted)


@given(st.integers(1, 40), st.integers(1, 400))
def test_warm_restarts_begin_with_an_epoch(steps_per_epoch: int, steps: int) -> None:
    horizon = Horizon(steps=steps, epochs=steps / steps_per_epoch, learning_rate=0.1)
    schedule = build("cosine_warm_restarts", horizon, first={"epochs": 1})
    for step in range(0, steps, steps_per_epoch):
        now = Progress(step, step / steps_per_epoch, step / steps)
        assert schedule(now) == pytest.approx(1.0)


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0])
def test_poly_is_torchs(power: float) -> None:
    wanted = torchs(lambda o: KINDS.PolynomialLR(o, 120, power), 121)
    assert factors("poly", 121, power=power) == pytest.approx(wanted, abs=1e-12)


def test_warmup_is_torchs_linear_rise_and_then_the_schedule_from_its_start() -> None:
    def make(optimizer: Any) -> Any:
        rise = KINDS.LinearLR(optimizer, 0.1, 1.0, total_iters=20)
        fall = KINDS.CosineAnnealingLR(optimizer, 100)
        return KINDS.SequentialLR(optimizer, [rise, fall], [20])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR passes its own deprecated argument
        wanted = torchs(make, 120)
    found = factors("cosine", 120, warmup={"epochs": 2}, warmup_start_factor=0.1)
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["constant", "cosine", "poly", "plateau", "cosine_warm_restarts"])
def test_every_schedule_warms_up(name: str) -> None:
    own = {
        "plateau": {"factor": 0.5, "patience": 1},
        "cosine_warm_restarts": {"first": {"steps": 20}},
    }
    found = factors(name, 11, warmup={"steps": 10}, warmup_start_factor=0.5, **own.get(name, {}))
    assert found == pytest.approx([0.5 + 0.05 * step for step in range(11)])


@pytest.mark.parametrize("name", ["constant", "cosine", "poly", "plateau", "cosine_warm_restarts"])
def test_start_of_a_warmup_that_there_is_not_is_refused(name: str) -> None:
    own = {
        "plateau": {"factor": 0.5, "patience": 1},
        "cosine_warm_restarts": {"first": {"steps": 20}},
    }
    with pytest.raises(RecipeError, match="there is none; write warmup") as caught:
        factors(name, 11, warmup_start_factor=0.5, **own.get(name, {}))
    assert caught.value.problems[0].key == "schedule.params.warmup_start_factor"


VALUES = st.lists(st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.5, math.nan]), max_size=30)


@given(VALUES, st.integers(0, 3), st.sampled_from(["max", "min"]), st.sampled_from([0.0, 0.06]))
def test_plateau_is_torchs(values: list[float], patience: int, mode: str, min_delta: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    oracle = KINDS.ReduceLROnPlateau(
        optimizer,
        mode,  # type: ignore[arg-type]
        factor=0.5,
        patience=patience,
        threshold=min_delta,
        threshold_mode="abs",
        min_lr=0.01,
        eps=0,
    )
    horizon = Horizon(120, 12, 0.1, mode)
    schedule = build(
        "plateau", horizon, factor=0.5, patience=patience, min_delta=min_delta, min_lr=0.01
    )
    monitored: tuple[tuple[float, float], ...] = ()
    for epoch, value in enumerate(values):
        oracle.step(value)
        monitored += ((float(epoch), value),)
        found = schedule(Progress(epoch * 10, epoch, epoch / 12, monitored))
        assert found * 0.1 == pytest.approx(optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize("name", ["cosine", "cosine_warm_restarts", "plateau"])
def test_a_minimum_above_the_learning_rate_is_refused(name: str) -> None:
    own: dict[str, Any] = {
        "plateau": {"factor": 0.5, "patience": 1},
        "cosine_warm_restarts": {"first": {"steps": 20}},
    }
    with pytest.raises(RecipeError, match=r"schedule.params.min_lr: 0.2 is above .* 0.1; lower"):
        build(name, min_lr=0.2, **own.get(name, {}))


@pytest.mark.parametrize("name", ["cosine", "poly"])
def test_a_warmup_that_leaves_nothing_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=r"schedule.params.warmup: 120 steps .* nothing of 120"):
        build(name, warmup={"epochs": 12})


def test_a_duration_has_one_unit() -> None:
    halves = [{"epochs": 6}, {"steps": 60}, {"fraction": 0.5}]
    courses = [factors("cosine", 120, duration=half) for half in halves]
    assert courses[0] == courses[1] == courses[2]
    for wrong in ({}, {"epochs": 1, "steps": 2}, {"epoch": 1}, {"fraction": 1.5}, {"steps": 0}):
        with pytest.raises(ValidationError):
            build("cosine", duration=wrong)


def test_a_duration_is_dumped_as_it_was_written() -> None:
    part = schedules.parse({"name": "cosine", "params": {"warmup": {"epochs": 2}}})
    assert part.dump()["params"]["warmup"] == {"epochs": 2}
    assert schedules.parse(part.dump()).dump() == part.dump()


def test_the_rates_of_the_self_training_post_mortem() -> None:
    """At 4k and 10k of 50k steps a cosine stands at 98 and 90 %, after a warm-up at 99 and 92."""
    horizon = Horizon(50_000, 1, 2.5e-4)
    plain = build("cosine", horizon)
    warmed = build("cosine", horizon, warmup={"steps": 1000})
    at = [Progress(step, 0, 0) for step in (4000, 10_000)]
    assert [round(plain(progress), 2) for progress in at] == [0.98, 0.90]
    assert [round(warmed(progress), 2) for progress in at] == [0.99, 0.92]


@pytest.mark.parametrize(
    ("step", "warmup", "share"),
    [(4_000, 1_000, 0.99), (4_000, None, 0.98), (10_000, 1_000, 0.92), (10_000, None, 0.90)],
)
def test_a_cosine_over_50k_steps_has_hardly_fallen_where_s4gan_took_it_for_low(
    step: int, warmup: int | None, share: float
) -> None:
    horizon = Horizon(steps=50_000, epochs=5, learning_rate=2.5e-4)
    rise = {"warmup": {"steps": warmup}} if warmup else {}
    schedule = build("cosine", horizon, **rise)
    assert round(schedule(Progress(step, 0, step / 50_000)), 2) == share
