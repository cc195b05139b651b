"""Encoders by name, from scratch, with published weights or with those of a local file."""

from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from segmentation_models_pytorch.encoders import encoders as smp_encoders
from timm.models import adapt_input_conv
from torch import Tensor, nn

from runner.encoders import SMP
from runner.errors import DataError, MachineError, Problem, RecipeError
from runner.registry import suggestion

TIMM = "tu-"
"""segmentation_models_pytorch's prefix of what it takes from timm."""


def encoder_name(name: str) -> str:
    """Return what segmentation_models_pytorch calls an encoder.

    timm's are preferred where both know the name, so that weights are found by one rule.

    Args:
        name: as timm or segmentation_models_pytorch names it; ``tu-`` before it changes nothing,
            ``smp-`` says that the latter's own is meant.
    Raises: RecipeError: neither knows it.
    """
    plain = name.removeprefix(TIMM)
    if timm.is_model(plain):
        return TIMM + plain
    plain = name.removeprefix(SMP)
    # smp's own ``timm-`` names are deprecated copies of what timm itself has.
    own = [each for each in smp_encoders if not each.startswith("timm-")]
    if plain in own:
        return plain
    known = dict.fromkeys([*timm.list_models(), *own])
    near = suggestion(plain, known)
    cure = near if near.startswith("did you mean") else "timm.list_models() names what is known"
    raise RecipeError(Problem("", "encoder", f"no encoder is called {name!r}; {cure}"))


def published_weights(name: str, pretrained: str | None) -> bool | None:
    """Return what segmentation_models_pytorch takes as ``encoder_weights``.

    Args:
        name: of the encoder, from ``encoder_name``.
        pretrained: ``timm``, a file (loaded afterwards, by ``load_encoder``) or None.
    Raises: RecipeError: timm has no weights of that name.
    """
    if pretrained != "timm":
        return None
    if name.startswith(TIMM) and timm.is_model_pretrained(name.removeprefix(TIMM)):
        return True
    whose = "" if name.startswith(TIMM) else ", which is segmentation_models_pytorch's own"
    message = (
        f"timm publishes no weights of {name.removeprefix(TIMM)!r}{whose}; "
        "choose another encoder, or give a .safetensors file of its weights"
    )
    raise RecipeError(Problem("", "pretrained", message))


def no_weights(name: str, error: OSError) -> MachineError:
    """Return the error that says how to do without the network."""
    plain = name.removeprefix(TIMM)
    message = (
        f"the weights of {plain!r} are not on this machine and could not be fetched; copy "
        "model.safetensors of that timm model here and write its path in place of timm, or "
        f"train from scratch without this key ({type(error).__name__})"
    )
    return MachineError(Problem("", "pretrained", message))


def load_encoder(encoder: nn.Module, file: Path, channels: int) -> None:
    """Fill an encoder with a file's weights.

    Args:
        encoder: of a segmentation_models_pytorch model.
        file: safetensors, with the names that timm (or the encoder itself) gives its weights; a
            classifier or stages that the encoder lacks are left out.
        channels: of the images; a first layer made for three is adapted to them.

    Raises:
        RecipeError: there is no such file.
        DataError: it is damaged, or holds another network's weights.
    """
    stored = _read(file)
    # timm joins a stage's path with "_" where it takes a network apart, with "." elsewhere.
    found = {_plain(name): tensor for name, tensor in stored.items()}
    prefix = "model_" if hasattr(encoder, "model") else ""
    wanted: dict[str, Tensor] = {}
    missing: list[str] = []
    for name, own in encoder.state_dict().items():
        tensor = found.get(_plain(name).removeprefix(prefix), found.get(_plain(name)))
        if tensor is not None and _is_first_layer(tensor, own, channels):
            tensor = adapt_input_conv(channels, tensor)
        if tensor is not None and tensor.shape == own.shape:
            wanted[name] = tensor
        elif not name.endswith("num_batches_tracked"):
            missing.append(name)
    if missing:
        message = (
            f"this file lacks {len(missing)} of the encoder's {len(encoder.state_dict())} tensors "
            f"(or has them in another shape), {missing[0]!r} first; give the weights of the "
            "recipe's own encoder"
        )
        raise DataError(Problem(str(file), "pretrained", message))
    encoder.load_state_dict({**encoder.state_dict(), **wanted})


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        message = f"there is no file {file}; write the path of a .safetensors file, or timm"
        raise RecipeError(Problem("", "pretrained", message))
    try:
        stored: dict[str, Tensor] = load_file(file)
    except SafetensorError as error:
        message = f"not a whole safetensors file ({error}); copy it anew"
        raise DataError(Problem(str(file), "pretrained", message)) from error
    return stored


def _plain(name: str) -> str:
    return name.removeprefix("encoder.").replace(".", "_")


def _is_first_layer(stored: Any, own: Any, channels: int) -> bool:
    return (
        stored.ndim == own.ndim == 4
        and (stored.shape[1], own.shape[1]) == (3, channels)
        and channels != 3
        and stored.shape[2:] == own.shape[2:]
    )
