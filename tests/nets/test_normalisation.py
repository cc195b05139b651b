import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from runner.nets.normalisation import group_count, norm_layer, with_group_norm


@pytest.mark.parametrize(
    ("channels", "most", "groups"),
    [(256, 32, 32), (128, 32, 32), (64, 32, 16), (16, 32, 4), (48, 32, 12), (24, 32, 6)]
    + [(40, 32, 10), (17, 32, 1), (3, 32, 1), (1, 32, 1), (64, 4, 4), (256, 30, 16)],
)
def test_groups_divide_the_channels(channels, most, groups):
    assert group_count(channels, most) == groups


def test_no_batch_norm_is_left():
    model = with_group_norm(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.BatchNorm2d(8))))
    assert [type(layer) for layer in model.modules()].count(nn.GroupNorm) == 1
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())


def test_volumes_are_converted_too():
    assert isinstance(with_group_norm(nn.BatchNorm3d(8)), nn.GroupNorm)


def test_scale_and_shift_are_the_same_parameters():
    before = nn.BatchNorm2d(8, eps=1e-3)
    after = with_group_norm(before)
    assert (after.weight, after.bias) == (before.weight, before.bias)
    assert after.eps == 1e-3


def test_a_fused_activation_is_kept():
    torch.manual_seed(0)
    fused = BatchNormAct2d(8, act_layer=nn.ReLU)
    image = torch.randn(2, 8, 5, 5)
    expected = nn.functional.group_norm(image, 2, eps=fused.eps).relu()
    assert torch.allclose(with_group_norm(fused)(image), expected, atol=1e-6)


def test_a_norm_that_does_more_is_refused():
    class Noisy(nn.BatchNorm2d):
        def __init__(self):
            super().__init__(4)
            self.noise = nn.Dropout()

    with pytest.raises(TypeError, match="Noisy"):
        with_group_norm(Noisy())


def test_an_encoder_with_fused_norms_still_computes():
    encoder = with_group_norm(timm.create_model("efficientnet_lite0", features_only=True))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in encoder.modules())
    alone, image = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    together = encoder(torch.cat([alone, image]))
    # The point of it: a sample no longer depends on the others of its batch.
    for single, both in zip(encoder(alone), together, strict=True):
        assert torch.allclose(single[0], both[0], atol=1e-4)


def test_a_map_of_one_pixel_is_not_normalised_to_zero():
    assert norm_layer("group", 16, 2)(torch.randn(2, 16, 1, 1)).abs().min() > 1e-3


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("norm", ["batch", "group", "instance", "none"])
def test_each_norm_takes_its_dimensions(norm, dimensions):
    image = torch.rand(2, 8, *[4] * dimensions)
    assert norm_layer(norm, 8, dimensions)(image).shape == image.shape
