from math import exp, log

import numpy as np
import pytest
import torch

from runner.nets.segmentation_losses import (
    CombinedSafety,
    CrossEntropy,
    Dice,
    Focal,
    boundary_band,
    cross_entropies,
    focal_factors,
    log_probabilities,
)

WEIGHTS = [1.0, 2.0, 1.5, 3.0]
PENALTIES = [[1, 1, 1, 1], [1, 1, 1, 1.5], [1, 3, 1, 1.2], [1, 5, 3, 1]]


def combined(**changes):
    values = {"gamma": 2.0, "dice_weight": 1.0, "boundary_weight": 0.5, "boundary_px": 2}
    return CombinedSafety(WEIGHTS, PENALTIES, smooth=1.0, **{**values, **changes})


LOSSES = {
    "focal": Focal([0.3, 1.0, 2.0, 5.0], 2.0),
    "focal_root": Focal([1.0] * 4, 0.5),
    "cross_entropy": CrossEntropy([0.3, 1.0, 2.0, 5.0], 0.1),
    "dice": Dice(1.0),
    "combined_safety": combined(),
}


def total(value):
    return sum(value.values()) if isinstance(value, dict) else value


def case(size=(6, 5), *, ignored=0.2, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    logits = torch.randn(2, 4, *size, dtype=dtype) * 2
    mask = torch.randint(0, 4, (2, *size))
    mask[torch.rand(mask.shape) < ignored] = 255
    return logits, mask


def probabilities(logits):
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def pixels(logits, mask):
    """Yield probabilities and true class of each valid pixel."""
    p, y = probabilities(logits.numpy()), mask.numpy()
    for place in np.ndindex(y.shape):
        if y[place] != 255:
            yield p[(place[0], slice(None), *place[1:])], y[place]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [(4, 3), (2, 3, 2)])
def test_the_gradient_is_that_of_the_loss(name, size):
    logits, mask = case(size)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: total(LOSSES[name](x, mask)), logits)


@pytest.mark.parametrize("name", LOSSES)
def test_without_a_valid_pixel_loss_and_gradient_are_zero(name):
    logits, mask = case()
    logits.requires_grad_()
    value = total(LOSSES[name](logits, torch.full_like(mask, 255)))
    value.backward()
    assert value.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("name", LOSSES)
def test_an_ignored_pixel_changes_nothing(name):
    logits, mask = case()
    logits.requires_grad_()
    changed = torch.where((mask == 255).unsqueeze(1), 50.0, logits.detach())
    assert total(LOSSES[name](logits, mask)).item() == pytest.approx(
        total(LOSSES[name](changed, mask)).item(), abs=1e-12
    )
    total(LOSSES[name](logits, mask)).backward()
    assert logits.grad.movedim(1, -1)[mask == 255].abs().max() == 0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_scored_in_float32(name, dtype):
    logits, mask = case((32, 32), dtype=dtype)
    value = total(LOSSES[name](logits, mask))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(total(LOSSES[name](logits.double(), mask)).item(), 1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_does_not_coarsen_the_loss(name):
    logits, mask = case((32, 32), dtype=torch.float32)
    expected = total(LOSSES[name](logits, mask))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(total(LOSSES[name](logits, mask)), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_saturated_logits_keep_the_gradient_finite(name):
    mask = torch.tensor([[[0, 1], [2, 3]]])
    right = 1e4 * torch.nn.functional.one_hot(mask, 4).movedim(-1, 1).float()
    for logits in (right, -right):
        logits = logits.clone().requires_grad_()
        total(LOSSES[name](logits, mask)).backward()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_right_and_sure_prediction_costs_nothing(name):
    mask = torch.randint(0, 4, (2, 6, 6), generator=torch.Generator().manual_seed(0))
    logits = 1e3 * torch.nn.functional.one_hot(mask, 4).movedim(-1, 1).float()
    loss = CrossEntropy([1.0] * 4, 0.0) if name == "cross_entropy" else LOSSES[name]
    assert total(loss(logits, mask)).item() == pytest.approx(0, abs=1e-6)


def test_focal_of_one_pixel_by_hand():
    logits = torch.tensor([[log(0.7), log(0.3)]], dtype=torch.float64).view(1, 2, 1, 1)
    value = Focal([1.0, 4.0], 2.0)(logits, torch.ones(1, 1, 1, dtype=torch.int64))
    assert value.item() == pytest.approx(4 * 0.7**2 * -log(0.3), rel=1e-6)


def test_focal_agrees_with_numpy():
    logits, mask = case()
    alpha = [0.3, 1.0, 2.0, 5.0]
    expected = [alpha[y] * (1 - p[y]) ** 2 * -log(p[y]) for p, y in pixels(logits, mask)]
    assert Focal(alpha, 2.0)(logits, mask).item() == pytest.approx(np.mean(expected), rel=1e-6)


def test_gamma_zero_is_cross_entropy():
    logits, mask = case()
    expected = torch.nn.functional.cross_entropy(logits, mask, ignore_index=255)
    assert torch.allclose(Focal([1.0] * 4, 0.0)(logits, mask), expected)


def test_focal_factors_are_exact_where_the_class_is_nearly_sure():
    tiny = torch.tensor([1e-9])
    assert focal_factors(tiny, 1.0).item() == pytest.approx(1e-9, rel=1e-5)
    assert focal_factors(torch.tensor([0.0]), 0.0).item() == 1


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_that_of_torch(smoothing):
    logits, mask = case()
    weights = [0.3, 1.0, 2.0, 5.0]
    expected = torch.nn.functional.cross_entropy(
        logits, mask, torch.tensor(weights).double(), ignore_index=255, label_smoothing=smoothing
    )
    assert torch.allclose(CrossEntropy(weights, smoothing)(logits, mask), expected)


def test_dice_of_two_pixels_by_hand():
    logits = torch.tensor([[0.8, 0.4], [0.2, 0.6]], dtype=torch.float64).log().view(1, 2, 1, 2)
    mask = torch.tensor([[[0, 1]]])
    of_first = (2 * 0.8 + 1) / (1.2 + 1 + 1)
    of_second = (2 * 0.6 + 1) / (0.8 + 1 + 1)
    assert Dice(1.0)(logits, mask).item() == pytest.approx(1 - (of_first + of_second) / 2)


def test_dice_agrees_with_numpy_over_the_whole_batch():
    logits, mask = case()
    overlap, predicted, true = np.zeros(4), np.zeros(4), np.zeros(4)
    for p, y in pixels(logits, mask):
        overlap[y] += p[y]
        true[y] += 1
        predicted += p
    expected = 1 - np.mean((2 * overlap + 0.5) / (predicted + true + 0.5))
    assert Dice(0.5)(logits, mask).item() == pytest.approx(expected, rel=1e-6)


def test_dice_of_a_wrong_and_sure_prediction_is_nearly_one():
    mask = torch.zeros(1, 64, 64, dtype=torch.int64)
    logits = torch.stack([torch.zeros(1, 64, 64), torch.full((1, 64, 64), 99.0)], 1)
    assert Dice(1e-5)(logits, mask).item() == pytest.approx(1, abs=1e-6)


def test_the_band_is_within_two_pixels_of_a_change():
    mask = torch.tensor([[[0, 0, 0, 0, 1, 1, 1, 1]] * 3])
    assert boundary_band(mask, 2)[0, 0].tolist() == [False, False] + [True] * 4 + [False, False]
    assert boundary_band(mask, 1)[0, 0].tolist() == [False] * 3 + [True] * 2 + [False] * 3


def test_the_edge_of_an_ignored_area_is_no_boundary():
    mask = torch.tensor([[[0, 0, 255, 255, 0, 0]]])
    assert not boundary_band(mask, 2).any()
    assert boundary_band(torch.tensor([[[0, 255, 1]]]), 1).tolist() == [[[False, False, False]]]


@pytest.mark.parametrize("size", [(9, 8), (5, 6, 4)])
def test_the_band_agrees_with_a_search_of_each_neighbourhood(size):
    generator = np.random.default_rng(1)
    mask = np.where(generator.random((2, *size)) < 0.06, 1, 0)
    mask[generator.random(mask.shape) < 0.1] = 255

    def around(array, place):
        low = [slice(max(at - 1, 0), at + 2) for at in place[1:]]
        return array[(place[0], *low)]

    changes = np.zeros(mask.shape, bool)
    near = np.zeros(mask.shape, bool)
    for place in np.ndindex(mask.shape):
        changes[place] = len(set(around(mask, place).ravel().tolist()) - {255}) > 1
    for place in np.ndindex(mask.shape):
        near[place] = around(changes, place).any() and mask[place] != 255
    assert boundary_band(torch.from_numpy(mask), 2).numpy().tolist() == near.tolist()


def test_combined_safety_agrees_with_numpy():
    logits, mask = case((7, 8))
    focal = [
        WEIGHTS[y] * PENALTIES[y][int(p.argmax())] * (1 - p[y]) ** 2 * -log(p[y])
        for p, y in pixels(logits, mask)
    ]
    band = boundary_band(mask, 2)
    near = cross_entropies(log_probabilities(logits), mask)[band].numpy()
    terms = combined()(logits, mask)
    assert list(terms) == ["safety_focal", "dice", "boundary"]
    assert terms["safety_focal"].item() == pytest.approx(np.mean(focal), rel=1e-6)
    assert terms["dice"].item() == pytest.approx(Dice(1.0)(logits, mask).item(), rel=1e-12)
    assert terms["boundary"].item() == pytest.approx(0.5 * near.mean(), rel=1e-12)


def test_danger_taken_for_safe_costs_five_times_as_much():
    mask = torch.full((1, 1, 1), 3)

    def cost(predicted):
        logits = torch.zeros(1, 4, 1, 1)
        logits[0, predicted] = 1.0
        return combined()(logits, mask)["safety_focal"].item()

    assert cost(1) / cost(0) == pytest.approx(5)
    assert cost(2) / cost(0) == pytest.approx(3)


def test_safety_focal_of_one_pixel_by_hand():
    logits = torch.tensor([0.0, 2.0, 0.0, 0.0], dtype=torch.float64).view(1, 4, 1, 1)
    p = 1 / (3 + exp(2))
    value = combined()(logits, torch.full((1, 1, 1), 3))["safety_focal"].item()
    assert value == pytest.approx(3 * 5 * (1 - p) ** 2 * -log(p), rel=1e-6)


def test_the_terms_follow_their_weights():
    logits, mask = case()
    once = combined(dice_weight=1.0, boundary_weight=1.0)(logits, mask)
    changed = combined(dice_weight=0.0, boundary_weight=3.0)(logits, mask)
    assert changed["dice"].item() == 0
    assert torch.allclose(changed["boundary"], 3 * once["boundary"])


def test_a_mask_of_one_class_has_no_boundary_term():
    logits, mask = case()
    assert combined()(logits, torch.zeros_like(mask))["boundary"].item() == 0


def test_weights_are_kept_by_the_checkpoint():
    assert set(Focal([1.0, 2.0], 2.0).state_dict()) == {"alpha"}
    assert set(combined().state_dict()) == {"factors"}
    assert set(CrossEntropy([1.0], 0.0).state_dict()) == {"weights"}
