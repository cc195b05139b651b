import numpy as np
import pytest
import torch
from scipy import ndimage

from runner.nets.binary.soft_morphology import (
    dilated,
    distances_within,
    eroded,
    soft_skeleton,
)

SIZES = [(9, 8), (7, 6, 8)]
CROSS = {2: ndimage.generate_binary_structure(2, 1), 3: ndimage.generate_binary_structure(3, 1)}


def soft(size, seed=0):
    return torch.rand(2, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_sample(function, values):
    return np.stack([function(each) for each in values.numpy()])


def grey_erosion(x):
    return ndimage.grey_erosion(x, footprint=CROSS[x.ndim], mode="constant", cval=np.inf)


def grey_dilation(x):
    return ndimage.grey_dilation(x, size=(3,) * x.ndim, mode="constant", cval=-np.inf)


@pytest.mark.parametrize("size", SIZES)
def test_erosion_and_dilation_are_those_of_scipy(size):
    values = soft(size)
    assert np.array_equal(eroded(values).numpy(), by_sample(grey_erosion, values))
    assert np.array_equal(dilated(values).numpy(), by_sample(grey_dilation, values))


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_the_skeleton_agrees_with_its_definition_in_scipy(size, iterations):
    def skeleton(x):
        found = np.maximum(x - grey_dilation(grey_erosion(x)), 0)
        for _ in range(iterations):
            x = grey_erosion(x)
            rest = np.maximum(x - grey_dilation(grey_erosion(x)), 0)
            found = found + np.maximum(rest - found * rest, 0)
        return found

    values = soft(size)
    expected = by_sample(skeleton, values)
    np.testing.assert_allclose(soft_skeleton(values, iterations).numpy(), expected, atol=1e-12)


def test_the_skeleton_of_a_slab_is_its_middle():
    slab = torch.zeros(1, 9, 9, 9)
    slab[0, 3:6] = 1
    skeleton = soft_skeleton(slab, 3)
    assert (skeleton[0, 4] == 1).all()
    assert skeleton.sum() == 81


def test_a_constant_mask_has_no_skeleton():
    assert soft_skeleton(torch.full((1, 6, 6, 6), 0.8), 3).sum() == 0


@pytest.mark.parametrize("limit", [1, 3, 5])
@pytest.mark.parametrize("size", [(20, 17), (13, 12, 11), (3, 40, 2)])
def test_distances_below_the_limit_are_those_of_scipy(size, limit):
    places = np.random.default_rng(1).random((2, *size)) < 0.004
    places[0].flat[0], places[1] = True, False
    expected = ndimage.distance_transform_edt(~places[0])
    got = distances_within(torch.from_numpy(places), limit)
    np.testing.assert_allclose(got[0].numpy(), np.minimum(expected, limit), rtol=1e-6)
    assert (got[1] == limit).all()
