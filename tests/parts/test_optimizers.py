import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from runner.errors import RecipeError
from runner.registry import optimizers


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "encoder": nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)),
            "decoder": nn.Conv2d(2, 1, 1),
        }
    )


def build(name: str, task: nn.Module, **params: Any) -> torch.optim.Optimizer:
    part = optimizers.parse({"name": name, "params": {"lr": 0.1, **params}})
    return part.build(list(task.named_parameters()))  # type: ignore[no-any-return]


NAMES = ["adamw", "adam", "sgd"]
ORACLES: dict[str, tuple[Any, dict[str, Any]]] = {
    "adamw": (torch.optim.AdamW, {"betas": (0.8, 0.9), "eps": 1e-6}),
    "adam": (torch.optim.Adam, {"betas": (0.8, 0.9), "eps": 1e-6}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}


@pytest.mark.parametrize("name", NAMES)
def test_it_steps_as_torchs_own(name: str) -> None:
    kind, params = ORACLES[name]
    mine, theirs = net(), net()
    written = {key: list(v) if isinstance(v, tuple) else v for key, v in params.items()}
    pair = (
        (mine, build(name, mine, weight_decay=0.1, **written)),
        (theirs, kind(theirs.parameters(), lr=0.1, weight_decay=0.1, **params)),
    )
    for task, optimizer in pair:
        generator = torch.Generator().manual_seed(3)
        for _ in range(4):
            for parameter in task.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("before", [0, 2])
def test_a_step_is_skipped_by_a_flag_on_the_device(name: str, before: int) -> None:
    task = net()
    optimizer: Any = build(name, task)
    optimizer.grad_scale = None
    for step in range(before + 2):
        skips = step == before
        kept = [parameter.detach().clone() for parameter in task.parameters()]
        for parameter in task.parameters():
            parameter.grad = torch.full_like(parameter, math.nan if skips else 1.0)
        optimizer.found_inf = torch.tensor(float(skips))
        optimizer.step()
        same = [torch.equal(p, k) for p, k in zip(task.parameters(), kept, strict=True)]
        assert all(same) if skips else not any(same)
    states = [value for state in optimizer.state.values() for value in state.values()]
    assert all(value.isfinite().all() for value in states)


@pytest.mark.parametrize("name", NAMES)
def test_rates_are_multiplied_by_name_and_the_plain_ones_come_first(name: str) -> None:
    optimizer = build(name, net(), multipliers={"encoder.*.weight": 0.1, "enc*": 10.0})
    rates = {group["lr"]: len(group["params"]) for group in optimizer.param_groups}
    assert rates == {0.1: 2, 0.1 * 0.1: 2, 1.0: 2}
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert all(group["initial_lr"] == group["lr"] for group in optimizer.param_groups)


def test_a_pattern_that_decides_nothing_is_refused() -> None:
    multipliers = {"enc*": 10.0, "head.*": 1.0, "encoder.0.*": 2.0}
    with pytest.raises(RecipeError) as caught:
        build("adamw", net(), multipliers=multipliers)
    keys = [problem.key.rsplit("multipliers.", 1)[1] for problem in caught.value.problems]
    assert keys == ["head.*", "encoder.0.*"]
    assert "decoder.*" in caught.value.problems[0].message


def test_null_takes_a_bases_pattern_out() -> None:
    optimizer = build("sgd", net(), multipliers={"encoder.*": 10.0, "head.*": None})
    assert sorted(group["lr"] for group in optimizer.param_groups) == [0.1, 1.0]


def test_norms_and_biases_can_be_left_out_of_the_decay() -> None:
    spared = build("adamw", net(), weight_decay=0.5, decay_norm_and_bias=False)
    decays = {group["weight_decay"]: len(group["params"]) for group in spared.param_groups}
    assert decays == {0.5: 2, 0.0: 4}
    assert len(build("adamw", net(), weight_decay=0.5).param_groups) == 1


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(RecipeError, match="optimizer.params.nesterov: .*raise momentum"):
        build("sgd", net(), momentum=0.0, nesterov=True)


@pytest.mark.parametrize(
    "wrong", [{"lr": 0}, {"lr": -1}, {"weight_decay": -1}, {"betas": [0.9]}, {"betas": [0.9, 1]}]
)
def test_values_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        build("adamw", net(), **wrong)


def test_momentum_is_there_before_the_first_step_which_may_be_skipped() -> None:
    task = net()
    optimizer = build("sgd", task)
    buffers = [optimizer.state[parameter]["momentum_buffer"] for parameter in task.parameters()]
    assert not any(buffer.any() for buffer in buffers)
    assert not build("sgd", task, momentum=0.0).state
