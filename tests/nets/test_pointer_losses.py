import math

import pytest
import torch

from runner.nets.pointing.losses import heatmap_loss
from runner.nets.pointing.network import cell_middles

YES = torch.tensor([True])


def logs(shares):
    return torch.tensor([shares], dtype=torch.float64).log()


def test_heatmap_of_even_shares_is_apart_by_the_computed_divergence():
    # Cells at -0.5 and 0.5, one apart; the target lies in the second.
    near, far = 1.0, math.exp(-0.5)
    wanted = [far / (near + far), near / (near + far)]
    by_hand = sum(p * math.log(p / 0.5) for p in wanted)
    found = heatmap_loss(logs([[0.5, 0.5]]), torch.tensor([[0.5, 0.0]], dtype=torch.float64), YES)
    assert found.item() == pytest.approx(by_hand, rel=1e-6)


def test_divergence_is_least_at_a_gaussian_around_the_place():
    target = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    middles = cell_middles(6, 8, target)
    cells = torch.tensor([4.0, 3.0], dtype=torch.float64)[:, None, None]
    right = (-((middles - target[..., None, None]) * cells).square().sum(1) / 2).flatten(1)
    right = right.log_softmax(1).unflatten(1, (6, 8))
    assert heatmap_loss(right, target, YES).item() == pytest.approx(0, abs=1e-6)
    mirrored = right.flip(2)
    assert heatmap_loss(mirrored, target, YES).item() > 1


def test_two_peaks_around_the_place_are_worse_than_one_at_it():
    target = torch.zeros(1, 2, dtype=torch.float64)
    one = logs([[0.1, 0.2, 0.4, 0.2, 0.1]])
    two = logs([[0.4, 0.05, 0.1, 0.05, 0.4]])
    assert heatmap_loss(two, target, YES) > heatmap_loss(one, target, YES)


def test_samples_that_do_not_count_have_no_gradient():
    heatmap = torch.randn(2, 4, 4).flatten(1).log_softmax(1).unflatten(1, (4, 4))
    heatmap.requires_grad_()
    valid = torch.tensor([True, False])
    heatmap_loss(heatmap, torch.zeros(2, 2), valid).backward()
    assert heatmap.grad[0].abs().sum() > 0 and heatmap.grad[1].abs().sum() == 0


def test_gradient_is_that_of_finite_differences():
    scores = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[0.1, -0.6]], dtype=torch.float64)

    def loss(scores):
        # The divergence is computed in float32 for half precision's sake; here it is followed.
        return heatmap_loss(
            scores.flatten(1).log_softmax(1).unflatten(1, (3, 4)).float(), target.float(), YES
        )

    assert torch.autograd.gradcheck(loss, scores, eps=1e-3, atol=1e-3)
