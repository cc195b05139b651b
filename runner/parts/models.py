"""Networks that a recipe can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from runner.encoders import EncoderName, TimmName
from runner.errors import Problem, RecipeError
from runner.registry import models

if TYPE_CHECKING:
    from torch import nn

    from runner.contracts import DataSpec
    from runner.nets.detection.backbones import Backbone

Width = Annotated[int, Field(gt=0)]
Weights = Annotated[str, Field(pattern=r"^timm$|\.safetensors$")]


@models.register
def unet(
    spec: DataSpec,
    /,
    *,
    encoder: EncoderName = "resnet34",
    pretrained: Weights | None = None,
    norm: Literal["batch", "group"] = "batch",
    decoder_channels: Annotated[tuple[Width, ...], Field(min_length=3, max_length=5)] = (
        256, 128, 64, 32, 16,
    ),
) -> nn.Module:  # fmt: skip
    """U-Net for images around a timm encoder.

    Args:
        encoder: a timm model, such as resnet18, or one of segmentation_models_pytorch; smp-resnet18
            is the latter's own where both know the name: its residual branches do not start at
            zero, and learn sooner from scratch.
        pretrained: timm for the encoder's published weights, or a .safetensors file of them.
        norm: group for batches of few images; weights keep scale and shift, not statistics.
        decoder_channels: of each level, the coarsest first; their number is the depth.
    """
    from runner.nets import encoder_decoder

    return encoder_decoder.unet(spec, encoder, pretrained, norm, decoder_channels)


@models.register
def deeplabv3plus(
    spec: DataSpec,
    /,
    *,
    encoder: EncoderName = "resnet50",
    pretrained: Weights | None = None,
    norm: Literal["batch", "group"] = "batch",
    decoder_channels: Width = 256,
    output_stride: Literal[8, 16] = 16,
    atrous_rates: tuple[Width, Width, Width] = (12, 24, 36),
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
    head_dropouts: Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(min_length=1)]
    | None = None,
) -> nn.Module:
    """DeepLabV3+ for images around a timm encoder.

    Args:
        encoder: a timm model that can be dilated, such as resnet50.
        pretrained: timm for the encoder's published weights, or a .safetensors file of them.
        norm: group for batches of few images (batch needs two of them).
        decoder_channels: of the pyramid and of the decoder.
        output_stride: pixels of the image for one of the coarsest map.
        atrous_rates: dilations of the pyramid, in pixels of the coarsest map.
        dropout: share of the pyramid's outputs set to zero in training.
        head_dropouts: a head for each, whose logits are averaged: share of the decoder's channels
            that it sets to zero in training; null for one head without.
    """
    from runner.nets import encoder_decoder

    return encoder_decoder.deeplabv3plus(
        spec, encoder, pretrained, norm, decoder_channels, output_stride, atrous_rates, dropout,
        head_dropouts,
    )  # fmt: skip


@models.register
def conv_unet(
    spec: DataSpec,
    /,
    *,
    widths: Annotated[tuple[Width, ...], Field(min_length=1)] = (32, 64, 128, 256),
    norm: Literal["batch", "group", "instance", "none"] = "group",
    groups: Annotated[int, Field(gt=0)] | None = None,
    activation: Literal["relu", "leaky_relu"] = "relu",
    convolutions_per_level: Literal[1, 2] = 2,
    residual: bool = False,
    deep_supervision: bool = False,
) -> nn.Module:
    """Small U-Net of plain convolutions, for images and volumes.

    Args:
        widths: channels of each level, the full resolution first; between levels maps are halved.
        norm: after each convolution; instance needs crops that leave two pixels at the last level.
        groups: of norm group, at most; 32 where not set, always four channels or more in each.
        activation: after each norm; the leaky slope is 0.01.
        convolutions_per_level: on the way down and on the way up.
        residual: whether each block on the way down adds its input to its output.
        deep_supervision: whether coarser levels are trained too, at half the weight of the next.
    """
    from runner.nets.conv_unet import ConvUNet
    from runner.nets.normalisation import MOST_GROUPS
    from runner.nets.padding import PaddedToStride

    if groups is not None and norm != "group":
        message = f"norm {norm} has no groups; remove this key, or write norm: group"
        raise RecipeError(Problem("", "groups", message))
    model = ConvUNet(
        spec.channels, len(spec.classes), spec.dimensions, widths, norm, activation,
        convolutions_per_level, groups or MOST_GROUPS,
        residual=residual, deep_supervision=deep_supervision,
    )  # fmt: skip
    return PaddedToStride(model, model.stride)


@models.register
def mask_discriminator(
    spec: DataSpec,
    /,
    *,
    widths: Annotated[tuple[Width, ...], Field(min_length=1)] = (64, 128, 256, 512),
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
) -> nn.Module:
    """Tells true masks from predicted ones, beside their images; of the task adversarial.

    Args:
        widths: channels of each convolution; each halves the map.
        dropout: share of their channels set to zero in training.
    """
    from runner.nets.discriminator import Discriminator

    if spec.dimensions != 2:
        message = f"judges masks of images, and these data have {spec.dimensions} dimensions"
        raise RecipeError(Problem("", "name", message + "; use the task self_training"))
    return Discriminator(len(spec.classes) + spec.channels, widths, dropout)


@models.register
def timm_backbone(
    spec: DataSpec,
    /,
    *,
    encoder: TimmName = "resnet18",
    pretrained: Weights | None = None,
    norm: Literal["batch", "group"] = "batch",
) -> Backbone:
    """A timm network as a detector's backbone: maps of strides 8, 16 and 32.

    Args:
        encoder: a timm model, such as resnet18.
        pretrained: timm for its published weights, or a .safetensors file of them.
        norm: group for batches of few images; weights keep scale and shift, not statistics.
    """
    from runner.nets.detection import backbones

    return backbones.timm_backbone(spec.channels, encoder, pretrained, norm)


@models.register
def conv_backbone(
    spec: DataSpec,
    /,
    *,
    widths: Annotated[tuple[Width, ...], Field(min_length=3)] = (16, 32, 64, 128, 256),
    norm: Literal["batch", "group", "none"] = "group",
) -> Backbone:
    """A small detector's backbone of plain convolutions: maps of the last three stages.

    Args:
        widths: channels of each stage; each halves the map.
        norm: after each convolution.
    """
    from runner.nets.detection import backbones

    return backbones.conv_backbone(spec.channels, widths, norm)


@models.register
def single_level_head(
    spec: DataSpec,
    backbone: Backbone | None = None,
    /,
    *,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    size_clamp: Annotated[float, Field(gt=0, le=20)] = 4.0,
    centre_offset: Annotated[float, Field(ge=-1, le=1)] = 0.0,
    prior: Annotated[float, Field(gt=0, lt=1)] | None = None,
) -> nn.Module:
    """A detector's head on the coarsest map: a box and a logit for each class a cell.

    Args:
        dropout: share of the map's values set to zero in training.
        size_clamp: largest exponent of exp(t) * stride, either way; no gradient beyond.
        centre_offset: added to sigmoid(t) + cell, in cells; 0.5 shifts each box by half a cell.
        prior: score of every class before training; null for 0.5.
    """
    from runner.nets.detection.single_level_head import SingleLevelHead

    maps = _of_a_detector(backbone)
    return SingleLevelHead(
        maps.channels[-1], maps.strides[-1], len(spec.classes), dropout=dropout,
        size_clamp=size_clamp, centre_offset=centre_offset, prior=prior,
    )  # fmt: skip


@models.register
def yolov8_head(
    spec: DataSpec,
    backbone: Backbone | None = None,
    /,
    *,
    width: Annotated[int, Field(gt=0, multiple_of=8)] | None = None,
    reg_max: Annotated[int, Field(ge=2)] = 16,
    norm: Literal["batch", "group"] = "batch",
    prior: Annotated[float, Field(gt=0, lt=1)] = 0.01,
) -> nn.Module:
    """A detector's head on three maps: a pyramid, then classes and distributed edge distances.

    Args:
        width: channels of the pyramid and of the branches; those of the finest map where null.
        reg_max: whole distances of an edge, 0 to reg_max - 1 strides.
        norm: of each convolution; group for batches of few images.
        prior: score of every class before training.
    """
    from runner.nets.detection.yolov8_head import PyramidHead

    maps = _of_a_detector(backbone)
    return PyramidHead(
        maps.channels, maps.strides, len(spec.classes),
        width=width or maps.channels[0], reg_max=reg_max, norm=norm, prior=prior,
    )  # fmt: skip


def _of_a_detector(backbone: Backbone | None) -> Backbone:
    if backbone is None:
        message = "is a detector's head; name it as head in the params of the task detection"
        raise RecipeError(Problem("", "name", message))
    return backbone


@models.register
def pointer(
    spec: DataSpec,
    /,
    *,
    backbone: TimmName = "resnet18",
    pretrained: Weights | None = None,
    norm: Literal["batch", "group"] = "batch",
    stride: Literal[4, 8, 16, 32] = 16,
    head: Literal["regression", "heatmap", "heatmap_peak"] = "heatmap",
    hidden: Width = 128,
) -> nn.Module:
    """One place of an image, and whether there is one left, around a timm backbone.

    Args:
        backbone: a timm model that gives maps, such as resnet18.
        pretrained: timm for the backbone's published weights, or a .safetensors file of them.
        norm: group for batches of few images; weights keep scale and shift, not statistics.
        stride: pixels of the image for one of the map that the head looks at.
        head: regression: x and y by a linear layer each; heatmap: the mean of a map;
            heatmap_peak: likewise while training, afterwards the mean around its highest cell.
        hidden: width of the head.
    """
    from runner.nets.pointing import network as nets

    return nets.pointer(spec.channels, backbone, pretrained, norm, stride, head, hidden)
