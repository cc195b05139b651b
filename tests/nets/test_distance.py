import subprocess
import sys

import pytest
import torch

from runner.nets.pointing.distance import distance_table, weakened_beyond_px
from runner.nets.pointing.losses import PointLoss, done_loss


def gradients(loss, *thresholds):
    return [round(row.gradient, 3) for row in distance_table(loss, thresholds)]


def test_the_tighter_threshold_weakens_every_error_beyond_it():
    wide, tight = gradients("distance_hinge", 0.3), gradients("distance_hinge", 0.1)
    # At 5, 10, 20, 30, 57 and 100 px of 384.
    assert wide == [0.052, 0.104, 0.208, 0.312, 0.594, 0.3]
    assert tight == [0.052, 0.104, 0.1, 0.1, 0.1, 0.1]
    assert weakened_beyond_px(0.3, 0.1) == pytest.approx(19.2)
    for error_px in range(1, 192):
        old, new = distance_table("distance_hinge", errors_px=[error_px])
        assert (new.gradient < old.gradient) == (error_px > weakened_beyond_px(0.3, 0.1))


@pytest.mark.parametrize(("t", "below", "above"), [(0.3, 0.09, 0.18), (0.1, 0.01, 0.02)])
def test_the_hinge_jumps_at_its_threshold_and_its_gradient_halves(t, below, above):
    near, far = (
        distance_table("distance_hinge", [t], errors_px=[192 * d])[0] for d in (t - 1e-9, t + 1e-9)
    )
    assert (near.value, far.value) == pytest.approx((below, above), abs=1e-8)
    assert far.gradient == pytest.approx(near.gradient / 2)


def test_the_huber_distance_is_continuous_with_its_gradient():
    near, far = (
        distance_table("huber_distance", [0.3], errors_px=[192 * d])[0]
        for d in (0.3 - 1e-9, 0.3 + 1e-9)
    )
    assert far.value == pytest.approx(near.value) and far.gradient == pytest.approx(near.gradient)
    assert gradients("huber_distance", 0.3)[-1] == 0.6


@pytest.mark.parametrize("kind", ["mse", "distance_hinge", "huber_distance"])
@pytest.mark.parametrize("threshold", [0.1, 0.3])
def test_what_is_trained_is_what_the_table_says(kind, threshold):
    for row in distance_table(kind, [threshold]):
        point = torch.tensor([[row.distance, 0.0]], dtype=torch.float64, requires_grad=True)
        loss = PointLoss(kind, threshold).per_sample(point, torch.zeros(1, 2))
        loss.sum().backward()
        assert loss.item() == pytest.approx(row.value)
        assert point.grad[0, 0].item() == pytest.approx(row.gradient)


@pytest.mark.parametrize("kind", ["mse", "distance_hinge", "huber_distance"])
def test_gradients_are_those_of_differences(kind):
    torch.manual_seed(0)
    point = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    target = torch.randn(6, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda p: PointLoss(kind, 0.3).per_sample(p, target).sum(), (point,)
    )


@pytest.mark.parametrize("kind", ["mse", "distance_hinge", "huber_distance"])
def test_a_sample_that_does_not_count_changes_nothing(kind):
    point = torch.tensor([[0.5, 0.1], [9.0, 9.0]], requires_grad=True)
    target, valid = torch.zeros(2, 2), torch.tensor([True, False])
    loss = PointLoss(kind, 0.3)(point, target, valid)
    assert loss.item() == pytest.approx(PointLoss(kind, 0.3).per_sample(point, target)[0].item())
    loss.backward()
    assert (point.grad[1] == 0).all()
    none = PointLoss(kind, 0.3)(point, target, torch.tensor([False, False]))
    assert none.item() == 0


def test_the_done_loss_weighs_what_is_done():
    logit = torch.tensor([0.0, 0.0, 50.0])
    target, valid = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([True, True, False])
    half = torch.log(torch.tensor(2.0)).item()
    assert done_loss(logit, target, valid, 1.0).item() == pytest.approx(half)
    assert done_loss(logit, target, valid, 5.0).item() == pytest.approx(3 * half)


def test_the_table_is_made_before_torch_is_loaded():
    code = (
        "import sys\nfrom runner.nets.pointing.distance import distance_table\n"
        "distance_table('mse')\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
