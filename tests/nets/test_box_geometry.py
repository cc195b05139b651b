import math

import pytest
import torch
from torchvision import ops

from runner.nets.detection.box_geometry import ciou, giou, iou


def boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = 50 * torch.rand(count, 2, generator=generator, dtype=torch.float64)
    size = 1 + 30 * torch.rand(count, 2, generator=generator, dtype=torch.float64)
    return torch.cat([corner, corner + size], 1)


def by_hand(a, b, kind):
    """The papers' formulas on plain numbers."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    overlap = inter / union
    hull_width = max(a[2], b[2]) - min(a[0], b[0])
    hull_height = max(a[3], b[3]) - min(a[1], b[1])
    if kind == "iou":
        return overlap
    if kind == "giou":
        hull = hull_width * hull_height
        return overlap - (hull - union) / hull
    x = (a[0] + a[2] - b[0] - b[2]) / 2
    y = (a[1] + a[3] - b[1] - b[3]) / 2
    distance = (x * x + y * y) / (hull_width**2 + hull_height**2)
    angles = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (a, b)]
    unlike = 4 / math.pi**2 * (angles[1] - angles[0]) ** 2
    return overlap - distance - unlike / (1 - overlap + unlike) * unlike


@pytest.mark.parametrize("kind", ["iou", "giou", "ciou"])
def test_every_pair_is_as_computed_by_hand(kind):
    first, second = boxes(12, 0), boxes(9, 1)
    got = {"iou": iou, "giou": giou, "ciou": ciou}[kind](first[:, None], second[None])
    wanted = [[by_hand(a, b, kind) for b in second.tolist()] for a in first.tolist()]
    torch.testing.assert_close(got, torch.tensor(wanted, dtype=torch.float64), atol=1e-6, rtol=0)


def test_they_agree_with_torchvision():
    first, second = boxes(20, 2), boxes(20, 3)
    torch.testing.assert_close(iou(first[:, None], second), ops.box_iou(first, second))
    giou_of_torchvision = ops.generalized_box_iou(first, second)
    torch.testing.assert_close(giou(first[:, None], second), giou_of_torchvision, atol=1e-6, rtol=0)
    ciou_of_torchvision = ops.complete_box_iou_loss(first, second)
    torch.testing.assert_close(1 - ciou(first, second), ciou_of_torchvision, atol=1e-6, rtol=0)


def test_known_limits():
    one, apart = torch.tensor([0.0, 0, 2, 2]), torch.tensor([100.0, 100, 102, 102])
    for kind in (iou, giou, ciou):
        assert kind(one, one).item() == pytest.approx(1, abs=1e-5)
    assert iou(one, apart) == 0
    assert -1 <= giou(one, apart).item() < -0.99
    assert torch.isfinite(ciou(torch.zeros(4), one))


@pytest.mark.parametrize("kind", [giou, ciou])
def test_boxes_apart_are_drawn_together(kind):
    moved = torch.tensor([0.0, 0, 4, 4], requires_grad=True)
    kind(moved, torch.tensor([10.0, 0, 14, 4])).backward()
    assert moved.grad[0] + moved.grad[2] > 0


def test_gradients_are_those_of_finite_differences():
    second = boxes(6, 5)
    first = boxes(6, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda box: giou(box, second), first)


def test_the_trade_off_of_ciou_has_no_gradient_of_its_own():
    first, second = boxes(1, 6).requires_grad_(), boxes(1, 7)
    ciou(first, second).sum().backward()
    before = first.grad.clone()
    first.grad = None
    overlap = iou(first, second)
    width, height = first[:, 2] - first[:, 0], first[:, 3] - first[:, 1]
    angle = torch.atan((second[:, 2] - second[:, 0]) / (second[:, 3] - second[:, 1]))
    unlike = 4 / math.pi**2 * (angle - torch.atan(width / height)) ** 2
    factor = (unlike / (1 - overlap + unlike)).detach()
    corner = torch.minimum(first[:, :2], second[:, :2])
    hull = torch.maximum(first[:, 2:], second[:, 2:]) - corner
    apart = (first[:, :2] + first[:, 2:] - second[:, :2] - second[:, 2:]) / 2
    distance = apart.square().sum(1) / hull.square().sum(1)
    (overlap - distance - factor * unlike).sum().backward()
    torch.testing.assert_close(before, first.grad, atol=1e-6, rtol=1e-4)
