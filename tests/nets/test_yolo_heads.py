import pytest
import torch

from runner.contracts import Batch
from runner.errors import RecipeError
from runner.nets.detection.backbones import conv_backbone, timm_backbone
from runner.nets.detection.grid import grid_points, objects_of
from runner.nets.detection.single_level_head import SingleLevelHead
from runner.nets.detection.yolov8_head import PyramidHead
from runner.samples import Ragged


def single(**changed):
    values = {"dropout": 0.0, "size_clamp": 4.0, "centre_offset": 0.0, "prior": None}
    return SingleLevelHead(8, 32, 2, **{**values, **changed})


def outputs_of(head, rows, columns, values):
    """Let the head's convolution give ``values`` (4 + K) everywhere."""
    with torch.no_grad():
        head.predict.weight.zero_()
        head.predict.bias.copy_(torch.tensor(values))
    return head([torch.randn(1, 8, rows, columns)])


def test_the_single_level_decodes_as_the_seed_says():
    found = outputs_of(single(), 3, 4, [0.0, 2.0, 0.5, -1.0, 3.0, 4.0])
    x, y = 0.5, torch.sigmoid(torch.tensor(2.0)).item()
    width, height = torch.tensor([0.5, -1.0]).exp() * 32
    row, column = 2, 1
    cell = row * 4 + column
    centre = torch.tensor([(column + x) * 32, (row + y) * 32])
    half = torch.stack([width, height]) / 2
    torch.testing.assert_close(found.boxes[0, cell], torch.cat([centre - half, centre + half]))
    assert found.logits[0].tolist() == [[3.0, 4.0]] * 12
    torch.testing.assert_close(found.points[cell], torch.tensor([48.0, 80.0]))


def test_the_seeds_offset_shifts_every_box_by_half_a_cell():
    values = [0.3, 0.1, 0.0, 0.0, 0.0, 0.0]
    right = outputs_of(single(), 2, 2, values).boxes
    shifted = outputs_of(single(centre_offset=0.5), 2, 2, values).boxes
    torch.testing.assert_close(shifted - right, torch.full((1, 4, 4), 16.0))


@pytest.mark.parametrize(("clamp", "has_gradient"), [(4.0, False), (10.0, True)])
def test_beyond_the_clamp_there_is_no_gradient(clamp, has_gradient):
    head = single(size_clamp=clamp)
    boxes = outputs_of(head, 1, 1, [0.0, 0.0, 5.0, 5.0, 0.0, 0.0]).boxes
    boxes.sum(dim=(0, 1))[2].backward()
    assert (head.predict.bias.grad[2].abs() > 0) == has_gradient
    edge = (boxes[0, 0, 2] - boxes[0, 0, 0]).item()
    assert edge == pytest.approx(32 * torch.tensor(min(clamp, 5.0)).exp().item(), rel=1e-5)


def pyramid(**changed):
    values = {"width": 16, "reg_max": 8, "norm": "group", "prior": 0.01}
    return PyramidHead([8, 16, 24], [8, 16, 32], 3, **{**values, **changed})


def maps(height=64, width=96):
    shapes = [(height // s, width // s) for s in (8, 16, 32)]
    return [torch.randn(2, c, *shape) for c, shape in zip((8, 16, 24), shapes, strict=True)]


def test_the_pyramid_predicts_at_every_cell_of_every_level():
    found = pyramid()(maps())
    places = 8 * 12 + 4 * 6 + 2 * 3
    assert found.boxes.shape == (2, places, 4)
    assert found.logits.shape == (2, places, 3)
    assert found.distances.shape == (2, places, 4, 8)
    assert found.strides.unique().tolist() == [8, 16, 32]
    assert found.points[0].tolist() == [4, 4]
    assert found.points[-1].tolist() == [80, 48]


def test_a_box_is_the_expected_distance_from_its_point():
    found = pyramid()(maps())
    expected = (found.distances.softmax(-1) * torch.arange(8)).sum(-1) * found.strides[:, None]
    torch.testing.assert_close(found.boxes[..., :2], found.points - expected[..., :2])
    torch.testing.assert_close(found.boxes[..., 2:], found.points + expected[..., 2:])


def test_autocast_does_not_round_the_distances():
    with torch.autocast("cpu", torch.bfloat16):
        found = pyramid()(maps())
    expected = (found.distances.softmax(-1) * torch.arange(8)).sum(-1) * found.strides[:, None]
    torch.testing.assert_close(found.boxes[..., :2], found.points - expected[..., :2])


def test_before_training_every_class_scores_as_its_prior():
    # Biases alone: what the weights add is noise around them.
    head = pyramid(prior=0.02)
    for level in head.classes:
        torch.testing.assert_close(level[-1].bias.sigmoid(), torch.full((3,), 0.02))
    assert single(prior=0.1).predict.bias[4:].sigmoid().tolist() == pytest.approx([0.1, 0.1])
    assert single().predict.bias.tolist() == [0.0] * 6


def test_levels_inform_each_other_both_ways():
    head = pyramid()
    given = [each.requires_grad_() for each in maps()]
    found = head(given)
    for level in (slice(0, 96), slice(120, 126)):
        gradients = torch.autograd.grad(found.logits[:, level].sum(), given, retain_graph=True)
        assert all(each.abs().sum() > 0 for each in gradients)


def test_points_are_the_middles_of_cells_row_by_row():
    points, strides = grid_points([(2, 3)], [4], torch.zeros(1))
    wanted = [[2, 2], [6, 2], [10, 2], [2, 6], [6, 6], [10, 6]]
    assert points.tolist() == wanted
    assert strides.tolist() == [4] * 6


def test_backbones_give_the_maps_they_announce():
    image = torch.randn(1, 3, 64, 96)
    made = [
        conv_backbone(3, [4, 8, 8, 16], "group"),
        timm_backbone(3, "resnet18", None, "batch"),
        timm_backbone(3, "resnet10t", None, "group"),
    ]
    for backbone in made:
        found = backbone(image)
        shapes = [
            (c, 64 // s, 96 // s) for c, s in zip(backbone.channels, backbone.strides, strict=True)
        ]
        assert [tuple(each.shape[1:]) for each in found] == shapes
    assert made[0].strides == (4, 8, 16)
    assert made[1].strides == (8, 16, 32)
    norms = [type(m).__name__ for m in made[2].modules() if "Norm" in type(m).__name__]
    assert norms and not any("Batch" in name for name in norms)


@pytest.mark.parametrize("name", ["resnet81", "vit_tiny_patch16_224"])
def test_a_network_that_has_no_such_maps_is_refused(name):
    with pytest.raises(RecipeError):
        timm_backbone(3, name, None, "batch")


def test_boxes_are_padded_to_the_sample_with_the_most():
    rows = torch.tensor([[1.0, 2, 3, 4, 1], [5, 6, 7, 8, 0], [9, 9, 10, 10, 2]])
    batch = Batch(
        ids=("a", "b", "c", "d"),
        image=torch.zeros(4, 3, 4, 4),
        target={"boxes": Ragged(rows, torch.tensor([1, 0, 1, 1]), 1)},
        mean=torch.zeros(4, 3),
        std=torch.ones(4, 3),
        is_labelled=torch.tensor([True, True, True, False]),
    )
    found = objects_of(batch)
    assert found.boxes[:, 0].tolist() == [[1, 2, 3, 4], [0] * 4, [5, 6, 7, 8], [9, 9, 10, 10]]
    assert found.is_real.tolist() == [[True], [False], [True], [False]]
    assert found.classes[:, 0].tolist() == [1, 0, 0, 2]
