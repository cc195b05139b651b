from __future__ import annotations

import pickle

import numpy as np
import pytest

from runner.data.crops import (
    CentredCut,
    UniformCut,
    cut_out,
    ignore_covered,
    tiles_of,
)

SHAPES = [(10, 10), (11, 7), (3, 25), (1, 1), (8, 4), (5, 6, 7), (9, 4, 4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("edge", [1, 3, 4, 10])
def test_tiles_hold_every_pixel_exactly_once(shape: tuple[int, ...], edge: int) -> None:
    size = (edge,) * len(shape)
    held = np.zeros(shape, int)
    numbers = np.arange(held.size).reshape(shape) % 200
    for tile in tiles_of(shape, size):
        crop = cut_out(numbers.astype(np.uint8), tile.corner, size, 255)
        assert crop.shape == size
        ignore_covered(crop, tile.covered)
        part = tuple(slice(at, at + edge) for at in tile.corner)
        inside = crop[tuple(slice(min(edge, whole)) for whole in shape)]
        counted = inside != 255
        np.testing.assert_array_equal(inside[counted], numbers[part][counted])
        held[part] += counted
        # Nothing outside of the item is counted.
        assert (crop != 255).sum() == counted.sum()
    assert (held == 1).all()


def test_edge_tiles_are_shifted_inward() -> None:
    assert [tile.corner for tile in tiles_of((5, 4), (3, 4))] == [(0, 0), (2, 0)]
    assert [tile.covered for tile in tiles_of((5, 4), (3, 4))] == [(0, 0), (1, 0)]


def test_a_crop_beyond_the_border_is_padded_and_of_its_own() -> None:
    array = np.ones((2, 3, 3), np.uint8)
    crop = cut_out(array, (0, 0), (4, 3), 9)
    assert crop[:2].min() == crop[:2].max() == 1
    assert (crop[2:] == 9).all()
    whole = cut_out(array, (0, 0), (2, 3), 9)
    whole[:] = 5
    assert (array == 1).all()


def test_uniform_cuts_reach_every_position_alike(generator: np.random.Generator) -> None:
    mask = np.zeros((5, 4), np.uint8)
    corners = [UniformCut()(mask, (3, 3), generator) for _ in range(6000)]
    places, counts = np.unique(corners, axis=0, return_counts=True)
    assert places.tolist() == [[row, column] for row in range(3) for column in range(2)]
    assert abs(counts - 1000).max() < 150


def test_a_cut_around_a_class_holds_one_of_its_pixels(generator: np.random.Generator) -> None:
    mask = np.zeros((30, 40), np.uint8)
    mask[29, 39] = mask[0, 3] = 2
    mask[12, 20] = 1
    cut = CentredCut((1, 2), 1.0)
    seen = set()
    for _ in range(300):
        row, column = cut(mask, (8, 8), generator)
        assert 0 <= row <= 22
        assert 0 <= column <= 32
        crop = mask[row : row + 8, column : column + 8]
        assert crop.any()
        seen.update(np.unique(crop).tolist())
    assert seen == {0, 1, 2}


def test_pixels_of_the_classes_are_drawn_alike_over_blocks(
    generator: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.data.crops.BLOCK_PIXELS", 7)
    mask = np.zeros((6, 10), np.uint8)
    places = [(0, 0), (0, 6), (0, 7), (3, 3), (5, 9)]
    for place in places:
        mask[place] = 3
    corners = [CentredCut((3,), 1.0)(mask, (1, 1), generator) for _ in range(5000)]
    found, counts = np.unique(corners, axis=0, return_counts=True)
    assert [tuple(place) for place in found.tolist()] == places
    assert abs(counts - 1000).max() < 150


def test_the_pixel_lies_anywhere_in_the_crop_alike(generator: np.random.Generator) -> None:
    mask = np.zeros((41, 41), np.uint8)
    mask[20, 20] = 1
    corners = np.array([CentredCut((1,), 1.0)(mask, (4, 4), generator) for _ in range(4000)])
    for axis in (0, 1):
        offsets, counts = np.unique(20 - corners[:, axis], return_counts=True)
        assert offsets.tolist() == [0, 1, 2, 3]
        assert abs(counts - 1000).max() < 150


def test_without_the_class_or_the_chance_the_cut_is_uniform(
    generator: np.random.Generator,
) -> None:
    mask = np.zeros((9, 9), np.uint8)
    assert len({CentredCut((1,), 1.0)(mask, (3, 3), generator) for _ in range(500)}) == 49
    mask[0, 0] = 1
    corners = [CentredCut((1,), 0.25)(mask, (3, 3), generator) for _ in range(4000)]
    # One in four by choice, and one in 49 of the rest by chance.
    assert abs(np.mean([corner == (0, 0) for corner in corners]) - (0.25 + 0.75 / 49)) < 0.03


def test_cuts_work_on_volumes_and_travel_to_workers(generator: np.random.Generator) -> None:
    mask = np.zeros((6, 7, 8), np.uint8)
    mask[5, 6, 7] = 1
    cut = pickle.loads(pickle.dumps(CentredCut((1,), 1.0)))
    z, y, x = cut(mask, (2, 2, 2), generator)
    assert mask[z : z + 2, y : y + 2, x : x + 2].any()
