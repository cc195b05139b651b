from itertools import product

import numpy as np
import pytest

from runner.nets.binary import topology
from runner.nets.binary.topology import betti_numbers, components, euler_number


def grid(size=15):
    middle = (size - 1) / 2
    return np.meshgrid(*[np.arange(size) - middle] * 3, indexing="ij")


def ball(radius, size=15):
    return sum(axis**2 for axis in grid(size)) <= radius**2


def torus():
    z, y, x = grid()
    return (np.hypot(x, y) - 4.5) ** 2 + z**2 <= 2


def sheets():
    volume = np.zeros((9, 9, 9), bool)
    volume[2], volume[6] = True, True
    return volume


def pierced():
    volume = sheets()
    volume[2, 4, 4] = volume[6, 2, 2] = volume[6, 6, 6] = False
    return volume


SHAPES = [
    (np.zeros((3, 4, 5), bool), (0, 0, 0)),
    (np.ones((3, 4, 5), bool), (1, 0, 0)),
    (ball(5), (1, 0, 0)),
    (ball(6) & ~ball(3), (1, 0, 1)),
    (torus(), (1, 1, 0)),
    (sheets(), (2, 0, 0)),
    (pierced(), (2, 3, 0)),
]


@pytest.mark.parametrize(("volume", "expected"), SHAPES)
def test_the_numbers_of_known_shapes(volume, expected):
    assert betti_numbers(volume) == expected


def test_voxels_that_share_a_corner_are_one_component():
    volume = np.zeros((2, 2, 2), bool)
    volume[0, 0, 0] = volume[1, 1, 1] = True
    assert betti_numbers(volume) == (1, 0, 0)


def test_a_hole_that_leaks_at_a_corner_alone_is_still_enclosed():
    volume = np.ones((3, 3, 3), bool)
    volume[1, 1, 1] = volume[0, 0, 0] = False
    assert betti_numbers(volume) == (1, 0, 1)


def by_linear_algebra(volume):
    """Betti numbers as ranks of the boundary maps of the complex of closed cubes."""
    cells = set()
    for voxel in np.argwhere(volume):
        # In doubled coordinates a cube is odd in each, its faces even in some.
        for shift in product((-1, 0, 1), repeat=3):
            cells.add(tuple(int(2 * v + 1 + s) for v, s in zip(voxel, shift, strict=True)))
    by_dimension = [sorted(c for c in cells if sum(v % 2 for v in c) == k) for k in range(4)]
    ranks = [0]
    for k in range(1, 4):
        row = {cell: number for number, cell in enumerate(by_dimension[k - 1])}
        matrix = np.zeros((len(row), len(by_dimension[k])))
        for column, cell in enumerate(by_dimension[k]):
            sign = 1
            for axis in (axis for axis in range(3) if cell[axis] % 2):
                for side in (-1, 1):
                    face = (*cell[:axis], cell[axis] + side, *cell[axis + 1 :])
                    matrix[row[face], column] = sign * side
                sign = -sign
        ranks.append(int(np.linalg.matrix_rank(matrix)) if matrix.size else 0)
    ranks.append(0)
    return tuple(len(by_dimension[k]) - ranks[k] - ranks[k + 1] for k in range(3))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.75, 0.9])
def test_the_numbers_of_random_volumes_are_those_of_linear_algebra(share):
    for seed in range(6):
        volume = np.random.default_rng(seed).random((4, 5, 4)) < share
        assert betti_numbers(volume) == by_linear_algebra(volume)


def test_euler_number_counts_cells():
    assert euler_number(np.ones((1, 1, 1), bool)) == 8 - 12 + 6 - 1


def test_another_package_counts_the_same(monkeypatch):
    pytest.importorskip("cc3d")
    volume = np.random.default_rng(0).random((20, 21, 22)) < 0.3
    fast = components(volume, 26), components(volume, 6)
    monkeypatch.setattr(topology.importlib.util, "find_spec", lambda _: None)
    for (labels, count), neighbours in zip(fast, (26, 6), strict=True):
        expected, wanted = components(volume, neighbours)
        assert count == wanted
        pairs = np.unique(np.stack([labels.ravel(), expected.ravel()]), axis=1)
        assert pairs.shape[1] == count + 1, "each component of the one is one of the other"
