from math import log

import numpy as np
import pytest
import torch
from scipy import ndimage

from runner.contracts import DataSpec
from runner.errors import RecipeError
from runner.nets.binary.losses import (
    BinaryDice,
    BinaryFocal,
    CenterlineDice,
    Connectivity,
    SurfaceBoundary,
    check_is_binary,
)
from runner.nets.binary.soft_morphology import soft_skeleton

LOSSES = {
    "dice": BinaryDice(1e-5),
    "focal": BinaryFocal(0.7, 0.3, 2.0),
    "focal_root": BinaryFocal(0.7, 0.3, 0.5),
    "boundary": SurfaceBoundary(3.0, 5.0),
    "cldice": CenterlineDice(3, 1.0),
    "connectivity": Connectivity(),
}


def case(size=(6, 5, 7), *, ignored=0.2, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    logits = torch.randn(2, 2, *size, dtype=dtype) * 2
    mask = torch.randint(0, 2, (2, *size))
    mask[torch.rand(mask.shape) < ignored] = 255
    return logits, mask


def logits_of(probability):
    """Return logits whose softmax gives this probability of the foreground."""
    return torch.stack([torch.zeros_like(probability), torch.logit(probability)], 1)


def numpy_case(logits, mask):
    """Return probability and truth, 0 where ignored, and which voxels are valid."""
    exp = np.exp(logits.numpy() - logits.numpy().max(1, keepdims=True))
    p, y = (exp / exp.sum(1, keepdims=True))[:, 1], mask.numpy()
    return np.where(y == 255, 0, p), (y == 1).astype(float), y != 255


def cross_entropy(p, t, valid):
    return np.where(valid, -np.log(np.where(t == 1, p, 1 - p)), 0)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [(4, 3), (3, 4, 2)])
def test_the_gradient_is_that_of_the_loss(name, size):
    logits, mask = case(size)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](x, mask), logits)


@pytest.mark.parametrize("name", LOSSES)
def test_without_a_valid_voxel_loss_and_gradient_are_zero(name):
    logits, mask = case()
    logits.requires_grad_()
    value = LOSSES[name](logits, torch.full_like(mask, 255))
    value.backward()
    assert value.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_predicted_at_an_ignored_voxel_changes_neither_loss_nor_gradient(name):
    logits, mask = case()
    is_ignored = (mask == 255).unsqueeze(1)
    changed = torch.where(is_ignored, torch.tensor([50.0, -50.0]).view(1, 2, 1, 1, 1), logits)
    values, gradients = [], []
    for each in (logits, changed):
        each = each.clone().requires_grad_()
        values.append(LOSSES[name](each, mask))
        values[-1].backward()
        gradients.append(each.grad)
    assert torch.equal(values[0], values[1])
    assert torch.equal(gradients[0], gradients[1])
    assert gradients[0].masked_select(is_ignored).abs().max() == 0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_scored_in_float32(name, dtype):
    logits, mask = case((16, 16, 16), dtype=dtype)
    value = LOSSES[name](logits, mask)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(LOSSES[name](logits.double(), mask).item(), 1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_saturated_logits_keep_the_gradient_finite(name):
    _, mask = case(ignored=0)
    right = 1e4 * torch.nn.functional.one_hot(mask, 2).movedim(-1, 1).float()
    for logits in (right, -right):
        logits = logits.clone().requires_grad_()
        LOSSES[name](logits, mask).backward()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_right_and_sure_prediction_costs_nothing(name):
    _, mask = case(ignored=0)
    logits = 1e3 * torch.nn.functional.one_hot(mask, 2).movedim(-1, 1).float()
    assert LOSSES[name](logits, mask).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_constant_added_to_both_logits_changes_nothing(name):
    logits, mask = case()
    expected = LOSSES[name](logits, mask)
    assert torch.allclose(LOSSES[name](logits + 3.0, mask), expected)


def test_dice_of_two_voxels_by_hand():
    logits = logits_of(torch.tensor([[[0.2, 0.6]]], dtype=torch.float64))
    value = BinaryDice(0.5)(logits, torch.tensor([[[0, 1]]]))
    assert value.item() == pytest.approx(1 - (2 * 0.6 + 0.5) / (0.8 + 1 + 0.5))


def test_dice_of_foreground_everywhere_depends_on_its_share_alone():
    share = 0.66
    mask = (torch.arange(1000) < 1000 * share).long().view(1, 10, 10, 10)
    logits = torch.stack([torch.full((1, 10, 10, 10), -99.0), torch.zeros(1, 10, 10, 10)], 1)
    assert BinaryDice(1e-5)(logits, mask).item() == pytest.approx(1 - 2 * share / (1 + share))


def test_dice_agrees_with_numpy_over_the_whole_batch():
    logits, mask = case()
    p, t, _ = numpy_case(logits, mask)
    expected = 1 - (2 * (p * t).sum() + 0.5) / (p.sum() + t.sum() + 0.5)
    assert BinaryDice(0.5)(logits, mask).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("true", "weight", "p"), [(1, 0.3, 0.4), (0, 0.7, 0.6)])
def test_focal_of_one_voxel_by_hand(true, weight, p):
    logits = logits_of(torch.tensor([[[0.4]]], dtype=torch.float64))
    value = BinaryFocal(0.7, 0.3, 2.0)(logits, torch.tensor([[[true]]]))
    assert value.item() == pytest.approx(weight * (1 - p) ** 2 * -log(p))


def test_focal_agrees_with_numpy():
    logits, mask = case()
    p, t, valid = numpy_case(logits, mask)
    pt = np.where(t == 1, p, 1 - p)
    value = np.where(t == 1, 0.3, 0.7) * (1 - pt) ** 2 * cross_entropy(p, t, valid)
    expected = value[valid].mean()
    assert LOSSES["focal"](logits, mask).item() == pytest.approx(expected, rel=1e-6)


def test_the_weight_is_one_up_to_three_voxels_none_from_five_linear_between():
    mask = torch.zeros(1, 1, 1, 16, dtype=torch.int64)
    mask[..., 8:] = 1
    weights = SurfaceBoundary(3.0, 5.0).weights(mask).flatten().tolist()
    # The surface begins with voxel 8.
    assert weights == [0] * 4 + [0.5] + [1] * 11


@pytest.mark.parametrize("size", [(20, 17), (11, 12, 13)])
@pytest.mark.parametrize(("near", "far"), [(3.0, 5.0), (1.5, 2.5), (0.0, 4.0)])
def test_boundary_weights_are_those_of_scipys_distances(size, near, far):
    generator = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(generator.standard_normal((2, *size)), (0, *[2.0] * len(size)))
    mask = (smooth > smooth.std()).astype(np.int64)
    mask[generator.random(mask.shape) < 0.1] = 255
    for number, each in enumerate(mask):
        distance = ndimage.distance_transform_edt(each != 1)
        expected = np.clip((far - distance) / (far - near), 0, 1) * (each != 255)
        got = SurfaceBoundary(near, far).weights(torch.from_numpy(mask))[number]
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-6)


def test_boundary_is_the_weighted_mean_of_cross_entropy():
    logits, mask = case((12, 9, 8))
    p, t, valid = numpy_case(logits, mask)
    weights = SurfaceBoundary(1.0, 2.0).weights(mask).numpy()
    expected = (weights * cross_entropy(p, t, valid)).sum() / weights.sum()
    assert SurfaceBoundary(1.0, 2.0)(logits, mask).item() == pytest.approx(expected, rel=1e-6)


def test_a_mask_without_a_surface_has_no_boundary_term():
    logits, mask = case()
    assert SurfaceBoundary(3.0, 5.0)(logits, mask.masked_fill(mask == 1, 0)).item() == 0


def sheet(size=12):
    mask = torch.zeros(1, size, size, size, dtype=torch.int64)
    mask[0, 5:8] = 1
    return mask


def test_cldice_of_foreground_everywhere_is_nearly_nothing():
    mask = sheet()
    logits = torch.stack([torch.full(mask.shape, -9.0), torch.full(mask.shape, 9.0)], 1)
    assert CenterlineDice(3, 1.0)(logits, mask).item() == pytest.approx(0, abs=1e-6)


def test_cldice_of_background_everywhere_is_nearly_one():
    mask = sheet()
    logits = torch.stack([torch.full(mask.shape, 9.0), torch.full(mask.shape, -9.0)], 1)
    # Of 144 voxels of skeleton none is found: S = 1 / 145, and P = 1 as nothing is predicted.
    assert CenterlineDice(3, 1.0)(logits, mask).item() == pytest.approx(1 - 2 / 146, abs=1e-4)


def test_cldice_of_a_torn_sheet_by_hand():
    mask = sheet()
    predicted = mask.clone()
    predicted[:, :, 6:] = 0
    logits = 99.0 * torch.nn.functional.one_hot(predicted, 2).movedim(-1, 1).float()
    of_half = soft_skeleton(predicted.float(), 3).sum().item()
    sensitivity = (72 + 1) / (144 + 1)  # Half of the middle layer of 12 x 12 is covered.
    precision = (of_half + 1) / (of_half + 1)
    expected = 1 - 2 * precision * sensitivity / (precision + sensitivity)
    assert CenterlineDice(3, 1.0)(logits, mask).item() == pytest.approx(expected, rel=1e-5)


def test_cldice_agrees_with_numpy():
    logits, mask = case((9, 8, 7))
    p, t, _ = numpy_case(logits, mask)
    # What a skeleton is, tests/nets/test_soft_morphology.py holds to scipy.
    skeletons = [soft_skeleton(torch.from_numpy(each), 3).numpy() for each in (p, t)]
    precision = ((skeletons[0] * t).sum() + 0.5) / (skeletons[0].sum() + 0.5)
    sensitivity = ((skeletons[1] * p).sum() + 0.5) / (skeletons[1].sum() + 0.5)
    expected = 1 - 2 * precision * sensitivity / (precision + sensitivity)
    assert CenterlineDice(3, 0.5)(logits, mask).item() == pytest.approx(expected, rel=1e-9)


def test_connectivity_of_one_voxel_by_hand():
    probability = torch.full((1, 5, 5, 5), 1e-9, dtype=torch.float64)
    probability[0, 2, 2, 2] = 0.4
    mask = torch.zeros(1, 5, 5, 5, dtype=torch.int64)
    mask[0, 2, 2, 2] = 1
    # 27 of 125 voxels are off by 0.6 after both were dilated.
    value = Connectivity()(logits_of(probability), mask).item()
    assert value == pytest.approx(27 / 125 * 0.6**2, rel=1e-6)


def test_connectivity_agrees_with_scipy():
    logits, mask = case()
    p, t, valid = numpy_case(logits, mask)
    wide = [ndimage.maximum_filter(each, (1, 3, 3, 3), mode="constant") for each in (p, t)]
    expected = np.square(wide[0] - wide[1])[valid].mean()
    assert Connectivity()(logits, mask).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("classes", [("a",), ("a", "b", "c")])
def test_data_of_another_number_of_classes_are_refused(classes):
    with pytest.raises(RecipeError, match="map them to two"):
        check_is_binary(DataSpec(classes), "binary_dice")
