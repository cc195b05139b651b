"""Optimizers, fused, so that a step which is not finite can be skipped on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from runner.errors import Problem, RecipeError
from runner.registry import optimizers

if TYPE_CHECKING:
    from torch.nn import Parameter
    from torch.optim import Optimizer

    Named = Sequence[tuple[str, Parameter]]

Lr = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Multiplier = Annotated[float, Field(ge=0)]


@optimizers.register
def adamw(
    named_parameters: Named,
    /,
    *,
    lr: Lr,
    weight_decay: Decay = 0.01,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Annotated[float, Field(gt=0)] = 1e-8,
    multipliers: dict[str, Multiplier | None] = {},  # noqa: B006 - a value; nobody writes to it
    decay_norm_and_bias: bool = True,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov 2019).

    Args:
        lr: learning rate.
        weight_decay: share of a weight, times the learning rate, that a step takes away.
        betas: how much of the mean and of the mean square of gradients a step keeps.
        eps: added to the root of the mean square.
        multipliers: of the learning rate, by pattern of parameter name ("model.decoder.*");
            the first pattern that fits decides; null takes a base's pattern out.
        decay_norm_and_bias: whether biases and norm scales decay too.
    """
    import torch

    groups = _groups(named_parameters, lr, weight_decay, multipliers, decay_norm_and_bias)
    return torch.optim.AdamW(groups, lr, betas, eps, weight_decay, fused=True)


@optimizers.register
def adam(
    named_parameters: Named,
    /,
    *,
    lr: Lr,
    weight_decay: Decay = 0.0,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Annotated[float, Field(gt=0)] = 1e-8,
    multipliers: dict[str, Multiplier | None] = {},  # noqa: B006 - a value; nobody writes to it
    decay_norm_and_bias: bool = True,
) -> Optimizer:
    """Adam, its weight decay an L2 term of the gradient (Kingma 2015).

    Args:
        lr: learning rate.
        weight_decay: what times the weight is added to its gradient.
        betas: how much of the mean and of the mean square of gradients a step keeps.
        eps: added to the root of the mean square.
        multipliers: of the learning rate, by pattern of parameter name ("model.decoder.*");
            the first pattern that fits decides; null takes a base's pattern out.
        decay_norm_and_bias: whether biases and norm scales decay too.
    """
    import torch

    groups = _groups(named_parameters, lr, weight_decay, multipliers, decay_norm_and_bias)
    return torch.optim.Adam(groups, lr, betas, eps, weight_decay, fused=True)


@optimizers.register
def sgd(
    named_parameters: Named,
    /,
    *,
    lr: Lr,
    momentum: Beta = 0.9,
    nesterov: bool = False,
    weight_decay: Decay = 0.0,
    multipliers: dict[str, Multiplier | None] = {},  # noqa: B006 - a value; nobody writes to it
    decay_norm_and_bias: bool = True,
) -> Optimizer:
    """Gradient descent with momentum.

    Args:
        lr: learning rate.
        momentum: how much of the step before a step keeps.
        nesterov: whether the gradient counts once more, ahead of the momentum.
        weight_decay: what times the weight is added to its gradient.
        multipliers: of the learning rate, by pattern of parameter name ("model.decoder.*");
            the first pattern that fits decides; null takes a base's pattern out.
        decay_norm_and_bias: whether biases and norm scales decay too.
    """
    import torch

    if nesterov and momentum == 0:
        message = "looks ahead along the momentum, which is 0; raise momentum or set it false"
        raise RecipeError(Problem("", "optimizer.params.nesterov", message))
    groups = _groups(named_parameters, lr, weight_decay, multipliers, decay_norm_and_bias)
    optimizer = torch.optim.SGD(
        groups, lr, momentum, weight_decay=weight_decay, nesterov=nesterov, fused=True
    )
    if momentum:
        # torch would leave them uninitialised where the very first step is skipped.
        for _, parameter in named_parameters:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _groups(
    named_parameters: Named,
    lr: float,
    weight_decay: float,
    multipliers: Mapping[str, float | None],
    decay_norm_and_bias: bool,
) -> list[dict[str, Any]]:
    """Return param groups by learning rate and decay, that of the plain learning rate first."""
    kept = {pattern: factor for pattern, factor in multipliers.items() if factor is not None}
    grouped: dict[tuple[float, float], list[Parameter]] = {}
    used = set()
    for name, parameter in named_parameters:
        pattern = next((p for p in kept if fnmatchcase(name, p)), None)
        used.add(pattern)
        rate = lr if pattern is None else lr * kept[pattern]
        decay = weight_decay if decay_norm_and_bias or parameter.ndim > 1 else 0.0
        grouped.setdefault((rate, decay), []).append(parameter)
    _check_used([pattern for pattern in kept if pattern not in used], named_parameters)
    ordered = sorted(grouped.items(), key=lambda item: (item[0][0] != lr, item[0]))
    return [
        {"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in ordered
    ]


def _check_used(unused: Sequence[str], named_parameters: Named) -> None:
    tops = ", ".join(dict.fromkeys(name.rsplit(".", 2)[0] + ".*" for name, _ in named_parameters))
    message = (
        f"decides no parameter's rate: none is so called, or an earlier pattern fits first; "
        f"names are like {tops[:200]}"
    )
    if unused:
        raise RecipeError(
            Problem("", f"optimizer.params.multipliers.{pattern}", message) for pattern in unused
        )
