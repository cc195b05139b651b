from math import log2

import numpy as np
import pytest
import torch

from runner.contracts import Batch
from runner.nets.binary.surface_score import (
    SurfaceScore,
    octants,
    surface_dice,
    surface_score,
    topology_score,
    variation_of_information,
)
from runner.task import Outputs


def sheet(*places, size=12):
    volume = np.zeros((size, size, size), bool)
    volume[list(places)] = True
    return volume


EMPTY = sheet()


def by_search(predicted, true, tolerance):
    """Surface Dice by comparing each surface voxel with each of the other mask's."""

    def surface(volume):
        padded = np.pad(volume, 1)
        inside = padded.copy()
        for axis in range(3):
            for shift in (-1, 1):
                inside &= np.roll(padded, shift, axis)
        return np.argwhere(padded & ~inside)

    a, b = surface(predicted), surface(true)
    distance = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    near = (distance.min(1) <= tolerance).sum() + (distance.min(0) <= tolerance).sum()
    return near / (len(a) + len(b))


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_a_sheet_is_right_within_two_voxels(shift, expected):
    assert surface_dice(sheet(4 + shift), sheet(4), 2.0) == expected


def test_surface_dice_of_a_second_sheet_by_hand():
    # 144 voxels of the true sheet and as many of the first are near, those of the other are not.
    assert surface_dice(sheet(2, 9), sheet(2), 2.0) == pytest.approx(288 / 432)


@pytest.mark.parametrize("tolerance", [0.0, 1.0, 2.0])
def test_surface_dice_agrees_with_a_search(tolerance):
    for seed in range(3):
        predicted, true = np.random.default_rng(seed).random((2, 7, 8, 6)) < 0.15
        expected = by_search(predicted, true, tolerance)
        assert surface_dice(predicted, true, tolerance) == pytest.approx(expected)


def test_the_surface_of_a_full_volume_is_its_rim():
    full = np.ones((5, 5, 5), bool)
    assert surface_dice(full, full, 0.0) == 1
    middle = np.zeros((5, 5, 5), bool)
    middle[2, 2, 2] = True
    assert surface_dice(full, middle, 0.5) == 0


def test_of_two_empty_volumes_everything_is_right():
    found = surface_score(EMPTY, EMPTY, 2.0, 0.3)
    parts = {"surface_dice": 1, "topo": 1, "voi": 0, "voi_score": 1, "score": 1}
    assert found == pytest.approx(parts)


def test_an_empty_prediction_has_no_right_surface():
    assert surface_dice(EMPTY, sheet(3), 2.0) == surface_dice(sheet(3), EMPTY, 2.0) == 0


def test_topology_by_hand():
    # In each octant one component is predicted and two are true: 2 * 8 / (8 + 16).
    assert topology_score(sheet(2, 8), sheet(0, 3, 6, 9)) == pytest.approx(2 / 3)


def test_a_tunnel_that_is_not_there_by_hand():
    predicted = sheet(3, 8)
    predicted[3, 3, 3] = False
    # Components 2 * 8 / 16 = 1; tunnels 0.5 / 1.5; no cavity anywhere, so it has no weight.
    expected = (0.34 * 1 + 0.33 * 0.5 / 1.5) / 0.67
    assert topology_score(predicted, sheet(3, 8)) == pytest.approx(expected)


def test_what_is_missing_in_one_octant_is_not_made_up_for_in_another():
    size = 8
    predicted, true = np.zeros((2, size, size, size), bool)
    predicted[1, 1, 1] = predicted[1, 1, 3] = True  # Two in the first octant, none in the last.
    true[1, 1, 1] = true[6, 6, 6] = True
    assert topology_score(predicted, true) == pytest.approx(2 * 1 / (2 + 2))


def test_octants_cover_a_volume_once():
    for shape in [(5, 4, 3), (1, 6, 7)]:
        covered = np.zeros(shape, int)
        for octant in octants(shape):
            covered[octant] += 1
        assert (covered == 1).all()


def test_variation_of_two_sheets_taken_for_one_by_hand():
    true = sheet(2, 6)
    predicted = true.copy()
    predicted[2:7, 0, 0] = True  # Three voxels join the sheets.
    n, joint = 291, [144, 144, 3]
    of_true = -sum(v / n * log2(v / n) for v in joint)
    # The prediction is one component, so H(predicted | true) = 0 and H(true | predicted) = H(true).
    assert variation_of_information(predicted, true) == pytest.approx(of_true)
    assert variation_of_information(true, predicted) == pytest.approx(of_true)
    assert variation_of_information(true, true) == 0


def test_variation_agrees_with_its_definition():
    from scipy import ndimage

    predicted, true = np.random.default_rng(0).random((2, 8, 8, 8)) < 0.12
    a, b = (ndimage.label(volume, np.ones((3, 3, 3)))[0] for volume in (predicted, true))
    pairs = [(i, j) for i, j in zip(a.flat, b.flat, strict=True) if i or j]
    joint = {pair: pairs.count(pair) / len(pairs) for pair in set(pairs)}
    of_a, of_b = (
        {key: sum(v for pair, v in joint.items() if pair[side] == key) for key in set(one.flat)}
        for side, one in enumerate((a, b))
    )
    expected = -sum(p * (log2(p / of_a[i]) + log2(p / of_b[j])) for (i, j), p in joint.items())
    assert variation_of_information(predicted, true) == pytest.approx(expected)


def test_the_score_is_the_weighted_sum_of_its_parts():
    predicted, true = np.random.default_rng(1).random((2, 8, 8, 8)) < 0.1
    found = surface_score(predicted, true, 2.0, 0.3)
    assert found["voi_score"] == pytest.approx(1 / (1 + 0.3 * found["voi"]))
    expected = 0.3 * found["topo"] + 0.35 * found["surface_dice"] + 0.35 * found["voi_score"]
    assert found["score"] == pytest.approx(expected)
    assert found["voi"] > 0 and found["topo"] < 1


def batch_of(masks, is_labelled=None, target="mask"):
    count = len(masks)
    return Batch(
        ids=tuple("abc"[:count]),
        image=torch.zeros(count, 1, 12, 12, 12, dtype=torch.uint8),
        target={target: torch.from_numpy(np.stack(masks).astype(np.uint8))},
        mean=torch.zeros(count, 1),
        std=torch.ones(count, 1),
        is_labelled=torch.tensor(is_labelled or [True] * count),
    )


def outputs_of(volumes):
    predicted = torch.from_numpy(np.stack(volumes)).float() * 8 - 4
    return Outputs(logits=torch.stack([-predicted, predicted], 1))


def figures(metric):
    return metric.compute([metric.state()])


def test_volumes_are_scored_one_by_one_and_averaged():
    metric = SurfaceScore("mask", 2.0, 0.3)
    metric.update(outputs_of([sheet(3), sheet(9)]), batch_of([sheet(3), sheet(3)]))
    assert figures(metric)["surface_dice"] == pytest.approx(0.5)


def test_processes_of_unequal_numbers_of_volumes_are_averaged_by_volume():
    first, second = SurfaceScore("mask", 2.0, 0.3), SurfaceScore("mask", 2.0, 0.3)
    first.update(outputs_of([sheet(3), sheet(3)]), batch_of([sheet(3), sheet(3)]))
    second.update(outputs_of([sheet(9)]), batch_of([sheet(3)]))
    found = first.compute([first.state(), second.state()])
    assert found["surface_dice"] == pytest.approx(2 / 3)


def test_ignored_voxels_are_background_to_both():
    mask = sheet(3).astype(np.uint8)
    mask[8:] = 255
    metric = SurfaceScore("mask", 2.0, 0.3)
    metric.update(outputs_of([sheet(3, 9, 11)]), batch_of([mask]))
    assert figures(metric)["score"] == pytest.approx(1)


def test_an_unlabelled_volume_is_not_scored():
    metric = SurfaceScore("mask", 2.0, 0.3)
    metric.update(outputs_of([sheet(9), sheet(3)]), batch_of([sheet(3)] * 2, [False, True]))
    assert figures(metric)["score"] == pytest.approx(1)
    assert figures(SurfaceScore("mask", 2.0, 0.3)) == {}


def test_another_target_can_be_scored():
    metric = SurfaceScore("truth", 2.0, 0.3)
    metric.update(outputs_of([sheet(3)]), batch_of([sheet(3)], target="truth"))
    assert figures(metric)["score"] == pytest.approx(1)
