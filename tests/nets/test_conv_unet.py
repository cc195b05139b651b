import pytest
import torch

from runner.errors import RecipeError
from runner.nets.conv_unet import ConvUNet


def unet(*, widths=(8, 16, 16), dimensions=2, norm="group", activation="relu", convolutions=1):
    return ConvUNet(2, 3, dimensions, widths, norm, activation, convolutions, groups=4)


@pytest.mark.parametrize("norm", ["batch", "group", "instance", "none"])
@pytest.mark.parametrize(("dimensions", "size"), [(2, (8, 12)), (3, (8, 4, 12))])
def test_logits_have_the_size_of_the_image(dimensions, size, norm):
    logits = unet(dimensions=dimensions, norm=norm)(torch.rand(2, 2, *size))
    assert logits.shape == (2, 3, *size)


def test_one_level_never_pools():
    assert unet(widths=(8,))(torch.rand(1, 2, 3, 5)).shape == (1, 3, 3, 5)


def test_every_parameter_is_trained():
    model = unet(convolutions=2, activation="leaky_relu")
    model(torch.rand(2, 2, 8, 8)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_two_convolutions_per_level_are_twice_as_many():
    def count(model):
        return sum(isinstance(layer, torch.nn.Conv2d) for layer in model.modules())

    assert (count(unet(convolutions=1)), count(unet(convolutions=2))) == (6, 11)


def test_five_levels_pool_four_times():
    assert unet(widths=(4, 4, 4, 4, 4), dimensions=3).stride == 16


def test_the_deepest_level_reaches_the_logits():
    model = unet()
    image = torch.rand(1, 2, 8, 8)
    before = model(image)
    with torch.no_grad():
        model.down[2][0].weight.add_(1.0)
    assert not torch.allclose(before, model(image))


def test_instance_norm_of_one_voxel_says_what_to_do():
    model = unet(dimensions=3, norm="instance").eval()
    with pytest.raises(RecipeError, match="use fewer levels, a larger crop or norm: group"):
        model(torch.rand(2, 2, 4, 4, 4))


def test_batch_norm_of_one_value_is_refused_in_training_alone():
    model = unet(norm="batch")
    image = torch.rand(1, 2, 4, 4)
    with pytest.raises(RecipeError, match="batch norm cannot normalise"):
        model(image)
    assert model.eval()(image).shape == (1, 3, 4, 4)
    assert model.train()(torch.rand(2, 2, 4, 4)).shape == (2, 3, 4, 4)
