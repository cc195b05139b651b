from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from runner.contracts import IGNORE
from runner.data.crops import UniformCut
from runner.data.drawing import Shuffled
from runner.data.volumes.patches import Alternating, AroundForegroundCut, ForegroundCut

SIZE = (4, 4, 4)


def seeded(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


class Watched:
    """A mask that counts the voxels which are read."""

    def __init__(self, mask: np.ndarray) -> None:
        self.mask, self.shape, self.read = mask, mask.shape, 0

    def __getitem__(self, places: object) -> np.ndarray:
        part = self.mask[places]
        self.read += part.size
        return part


@pytest.fixture
def mask() -> np.ndarray:
    """Foreground in the lower half of a volume of 16³, its left quarter ignored."""
    mask = np.zeros((16, 16, 16), np.uint8)
    mask[8:] = 1
    mask[:, :, :4] = IGNORE
    return mask


def share(mask: np.ndarray, corner: tuple[int, ...]) -> float:
    return float((mask[tuple(slice(at, at + 4) for at in corner)] == 1).mean())


def test_an_accepted_share_is_taken_and_else_the_nearest(mask: np.ndarray) -> None:
    shares = [share(mask, ForegroundCut(10, 0.5, (0.3, 0.7))(mask, SIZE, seeded(seed)))
              for seed in range(60)]  # fmt: skip
    uniform = [share(mask, UniformCut()(mask, SIZE, seeded(seed))) for seed in range(60)]
    assert np.mean([0.3 <= each <= 0.7 for each in shares]) > 0.6
    assert np.mean([0.3 <= each <= 0.7 for each in uniform]) < 0.35


def test_the_best_of_several_is_the_nearest_to_the_target() -> None:
    mask = np.zeros((16, 16, 16), np.uint8)
    mask[0, 0, 0] = 1
    for seed in range(20):
        generator = seeded(seed)
        tried = [UniformCut()(mask, SIZE, generator) for _ in range(30)]
        chosen = ForegroundCut(30, 0.5, (0.3, 0.7))(mask, SIZE, seeded(seed))
        best = max(tried, key=lambda corner: share(mask, corner))
        assert chosen in tried
        assert share(mask, chosen) == share(mask, best)


def test_ignored_voxels_are_no_foreground() -> None:
    mask = np.full((8, 8, 8), IGNORE, np.uint8)
    mask[:4, :4, :4] = 1
    generator = seeded(0)
    for cut in (ForegroundCut(1000, 1.0, (1.0, 1.0)), AroundForegroundCut(1000)):
        corner = cut(mask, SIZE, generator)
        assert share(mask, corner) > 0
    assert ForegroundCut(1000, 1.0, (1.0, 1.0))(mask, SIZE, generator) == (0, 0, 0)


def test_a_voxel_of_the_foreground_lies_anywhere_in_the_crop() -> None:
    mask = np.zeros((12, 12, 12), np.uint8)
    mask[6, 6, 6] = 1
    cut = AroundForegroundCut(500)
    corners = [cut(mask, SIZE, seeded(seed)) for seed in range(200)]
    assert all(share(mask, corner) > 0 for corner in corners)
    assert {corner[0] for corner in corners} == {3, 4, 5, 6}


@pytest.mark.parametrize("cut", [ForegroundCut(5, 0.5, (0.3, 0.7)), AroundForegroundCut(5)])
@pytest.mark.parametrize("value", [0, 1, IGNORE])
def test_a_uniform_volume_gives_a_crop_inside(cut: ForegroundCut, value: int) -> None:
    mask = np.full((4, 7, 9), value, np.uint8)
    for seed in range(20):
        corner = cut(mask, SIZE, seeded(seed))
        assert corner[0] == 0
        assert 0 <= corner[1] <= 3
        assert 0 <= corner[2] <= 5


@pytest.mark.parametrize("cut", [ForegroundCut(10, 0.5, (0.3, 0.7)), AroundForegroundCut(10)])
def test_only_the_crops_that_are_tried_are_read(cut: ForegroundCut) -> None:
    watched = Watched(np.zeros((64, 64, 64), np.uint8))
    cut(watched, SIZE, seeded(0))  # type: ignore[arg-type]
    assert watched.read == 10 * 4**3


def test_a_cut_is_a_function_of_the_generator_and_may_be_sent(mask: np.ndarray) -> None:
    for cut in (ForegroundCut(10, 0.5, (0.3, 0.7)), AroundForegroundCut(3)):
        sent = pickle.loads(pickle.dumps(cut))
        assert sent == cut
        assert sent(mask, SIZE, seeded(4)) == cut(mask, SIZE, seeded(4))


def test_cuts_take_turns() -> None:
    cuts = (AroundForegroundCut(3), UniformCut())
    sampler = Alternating(Shuffled(5, 2), cuts)
    drawn = list(sampler.epoch(0, seeded(0)))
    assert len(drawn) == len(sampler) == 10
    assert [cut for _, cut in drawn] == list(cuts) * 5
    assert set(Counter(item for item, _ in drawn).values()) == {2}
