import pytest
import torch

from runner.errors import RecipeError
from runner.nets.conv_unet import ConvUNet
from runner.nets.deep_supervision import deeply_supervised_terms, supervision_weights
from runner.nets.padding import PaddedToStride


def unet(widths=(4, 6, 8, 8), dimensions=3, **changes):
    torch.manual_seed(0)
    return ConvUNet(1, 2, dimensions, widths, "instance", "leaky_relu", 2, 4, **changes)


def mean_of(logits, mask):
    return (logits[:, 1] * (mask == 1)).mean()


def test_weights_halve_and_sum_to_one():
    assert supervision_weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])


def test_terms_are_weighted_sums_over_the_levels():
    mask = torch.ones(1, 4, 4)
    levels = [torch.full((1, 2, 4, 4), value) for value in (7.0, 14.0, 21.0)]
    terms = deeply_supervised_terms("x", mean_of, levels, mask)
    assert terms.keys() == {"x"}
    assert terms["x"].item() == pytest.approx(4 + 4 + 3)
    named = deeply_supervised_terms(
        "x", lambda *given: {"a": mean_of(*given), "b": 2 * mean_of(*given)}, levels, mask
    )
    assert {name: value.item() for name, value in named.items()} == pytest.approx(
        {"a": 11, "b": 22}
    )


def test_coarser_logits_are_given_in_training_alone():
    model, image = unet(deep_supervision=True), torch.rand(1, 1, 16, 16, 16)
    levels = model(image)
    assert [each.shape for each in levels] == [(1, 2, 16, 16, 16)] * 3
    assert torch.equal(model.eval()(image), levels[0])


def test_coarser_logits_are_cropped_with_the_padding():
    model = PaddedToStride(unet(deep_supervision=True), 8)
    image = torch.rand(1, 1, 13, 16, 10)
    assert [each.shape for each in model(image)] == [(1, 2, 13, 16, 10)] * 3
    assert model.eval()(image).shape == (1, 2, 13, 16, 10)


def test_the_coarsest_logits_come_from_the_coarsest_level_of_the_way_up():
    model = unet(deep_supervision=True)
    levels = model(torch.rand(1, 1, 16, 16, 16))
    gradient = torch.autograd.grad(levels[-1].sum(), model.up.parameters(), allow_unused=True)
    used = [each is not None for each in gradient]
    per_block = len(used) // 3
    assert used == [True] * per_block + [False] * 2 * per_block


def test_every_parameter_is_trained_under_deep_supervision():
    model = unet(deep_supervision=True, residual=True)
    sum(each.square().mean() for each in model(torch.rand(2, 1, 16, 16, 16))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_other_weights_begin_as_without_deep_supervision():
    plain, deep = unet().state_dict(), unet(deep_supervision=True).state_dict()
    assert all(torch.equal(value, deep[name]) for name, value in plain.items())


def test_two_levels_have_nothing_between_them():
    with pytest.raises(RecipeError, match="three levels or more"):
        unet((4, 8), deep_supervision=True)


def test_a_residual_block_adds_its_input():
    block = unet((4, 8), residual=True).down[1]
    hidden = torch.rand(1, 4, 6, 6, 6)
    sum_ = block.layers(hidden) + block.shortcut(hidden)
    assert torch.allclose(block(hidden), torch.nn.functional.leaky_relu(sum_, 0.01))
    assert not isinstance(block.layers[-1], torch.nn.LeakyReLU)


def test_a_residual_block_of_equal_widths_passes_its_input_on():
    block = unet((8, 8), residual=True).down[1]
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
    hidden = torch.rand(1, 8, 4, 4, 4)
    assert torch.equal(block(hidden), hidden)


def test_images_have_residual_encoders_too():
    model = unet((4, 8), dimensions=2, residual=True)
    assert model(torch.rand(1, 1, 8, 8)).shape == (1, 2, 8, 8)
