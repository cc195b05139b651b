"""U-Net and DeepLabV3+ of segmentation_models_pytorch around an encoder."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from runner.contracts import DataSpec
from runner.errors import Problem, RecipeError
from runner.nets.normalisation import with_group_norm
from runner.nets.padding import PaddedToStride
from runner.nets.pretrained import encoder_name, load_encoder, no_weights, published_weights


def unet(
    spec: DataSpec,
    encoder: str,
    pretrained: str | None,
    norm: Literal["batch", "group"],
    decoder_channels: Sequence[int],
) -> nn.Module:
    """Return a U-Net, one level for each of the decoder's channels.

    Source: Ronneberger et al. 2015, with an encoder made for classification.
    """
    values = {"encoder_depth": len(decoder_channels), "decoder_channels": list(decoder_channels)}
    return _assembled(smp.Unet, spec, encoder, pretrained, norm, **values)


def deeplabv3plus(
    spec: DataSpec,
    encoder: str,
    pretrained: str | None,
    norm: Literal["batch", "group"],
    decoder_channels: int,
    output_stride: Literal[8, 16],
    atrous_rates: tuple[int, int, int],
    dropout: float,
    head_dropouts: Sequence[float] | None = None,
) -> nn.Module:
    """Return a DeepLabV3+, of one head or of several that are averaged.

    Source: Chen et al. 2018.
    """
    values = {
        "decoder_channels": decoder_channels,
        "encoder_output_stride": output_stride,
        "decoder_atrous_rates": atrous_rates,
        "decoder_aspp_dropout": dropout,
    }
    model = _assembled(smp.DeepLabV3Plus, spec, encoder, pretrained, norm, **values)
    if head_dropouts is not None:
        head: Any = model.model.segmentation_head
        # smp's is a 1x1 convolution, and what enlarges its logits.
        head[0] = MeanOfHeads(decoder_channels, len(spec.classes), head_dropouts)
    return model


class MeanOfHeads(nn.Module):
    """The mean of heads that each drop out other channels: an ensemble for the price of one.

    Attributes:
        heads: (B, C, H, W) to (B, K, H, W); drawn apart by their random starts and dropouts.
    """

    def __init__(self, channels: int, classes: int, dropouts: Sequence[float]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Dropout2d(share), nn.Conv2d(channels, classes, 1))
            for share in dropouts
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean logits, (B, K, H, W)."""
        return torch.stack([head(features) for head in self.heads]).mean(0)


def _assembled(
    architecture: Callable[..., Any],
    spec: DataSpec,
    encoder: str,
    pretrained: str | None,
    norm: Literal["batch", "group"],
    **values: Any,
) -> PaddedToStride:
    """Build, fill and convert the network; let it take images of any size."""
    if spec.dimensions != 2:
        message = (
            f"segments images, and these data have {spec.dimensions} dimensions; use conv_unet"
        )
        raise RecipeError(Problem("", "name", message))
    name = encoder_name(encoder)
    weights = published_weights(name, pretrained)
    try:
        model = architecture(
            encoder_name=name,
            encoder_weights=weights,
            in_channels=spec.channels,
            classes=len(spec.classes),
            **values,
        )
    except OSError as error:
        raise no_weights(name, error) from error
    except (AssertionError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        # timm's encoders say in many ways that they cannot be taken apart or dilated.
        message = f"{encoder!r} cannot be the encoder of this network ({error}); choose another"
        raise RecipeError(Problem("", "encoder", message)) from error
    if pretrained not in (None, "timm"):
        load_encoder(model.encoder, Path(pretrained), spec.channels)
    if norm == "group":
        with_group_norm(model)
    return PaddedToStride(model, int(model.encoder.output_stride))
