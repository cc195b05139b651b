from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from runner.contracts import Sample
from runner.data import augmentation
from runner.data.augmentation import Augmentation, merged

MAKERS: dict[str, Callable[[], Augmentation]] = {
    "flip": lambda: augmentation.flip(0.5, 0.5),
    "rotate90": lambda: augmentation.rotate90(1.0),
    "affine": lambda: augmentation.affine((0.5, 0.9), 40.0, 5.0, 0.1, 1.0),
    "color_jitter": lambda: augmentation.color_jitter(0.2, 0.2, 0.2, 0.1, 1.0),
    "blur": lambda: augmentation.blur((0.5, 2.0), 1.0),
    "noise": lambda: augmentation.noise((0.02, 0.1), 1.0),
}
GEOMETRY = ("flip", "rotate90", "affine")


def seeded(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


@pytest.fixture
def sample() -> Sample:
    """An image whose red channel is 20 times its mask."""
    mask = seeded(1).integers(1, 10, (8, 8), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    image = np.stack([20 * mask, seeded(2).integers(0, 256, mask.shape, dtype=np.uint8), mask])
    return Sample("x", image, {"mask": mask}, np.zeros(3, np.float32), np.ones(3, np.float32))


@pytest.mark.parametrize("name", MAKERS)
def test_the_result_is_a_function_of_the_generator(name: str, sample: Sample) -> None:
    random.seed(0)
    first = MAKERS[name]()(sample, seeded(3))
    random.seed(1)
    np.random.seed(1)
    transform = pickle.loads(pickle.dumps(MAKERS[name]()))
    transform(sample, seeded(4))
    again = transform(sample, seeded(3))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.target["mask"], again.target["mask"])
    drawn = {MAKERS[name]()(sample, seeded(seed)).image.tobytes() for seed in range(20)}
    assert len(drawn) > 1


@pytest.mark.parametrize("name", MAKERS)
def test_the_global_generators_are_left_alone(name: str, sample: Sample) -> None:
    transform = MAKERS[name]()
    before = random.getstate(), np.random.get_state()[1].tobytes()
    transform(sample, seeded(0))
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before


@pytest.mark.parametrize("name", MAKERS)
def test_only_geometry_changes_the_mask(name: str, sample: Sample) -> None:
    changed = [
        not np.array_equal(
            MAKERS[name]()(sample, seeded(seed)).target["mask"], sample.target["mask"]
        )
        for seed in range(8)
    ]
    assert any(changed) == (name in GEOMETRY)


@pytest.mark.parametrize("name", ["flip", "rotate90"])
def test_image_and_mask_move_together(name: str, sample: Sample) -> None:
    for seed in range(8):
        moved = MAKERS[name]()(sample, seeded(seed))
        np.testing.assert_array_equal(moved.image[0], 20 * moved.target["mask"])


def test_what_an_affine_map_uncovers_is_black_and_ignored(sample: Sample) -> None:
    moved = augmentation.affine((0.5, 0.5), 0.0, 0.0, 0.0, 1.0)(sample, seeded(0))
    assert moved.target["mask"][0, 0] == 255
    assert (moved.image[:, 0, 0] == 0).all()
    assert set(np.unique(moved.target["mask"])) <= {*range(1, 10), 255}
    # A bilinear border mixes with black, so compare within.
    inside = slice(10, 22), slice(10, 22)
    difference = moved.image[0][inside].astype(int) - 20 * moved.target["mask"][inside].astype(int)
    assert (difference == 0).mean() > 0.5


def test_an_affine_map_keeps_the_proportions(sample: Sample) -> None:
    for seed in range(5):
        covered = augmentation.affine((0.3, 0.9), 0.0, 0.0, 0.0, 1.0)(sample, seeded(seed))
        rows, columns = np.nonzero(covered.target["mask"] != 255)
        assert abs(np.ptp(rows) - np.ptp(columns)) <= 1


def test_merging_keeps_order_and_foreign_transforms(sample: Sample) -> None:
    def foreign(sample: Sample, generator: np.random.Generator) -> Sample:
        del generator
        return sample

    first, second, third = (MAKERS[name]() for name in ("flip", "affine", "noise"))
    result = merged([first, second, foreign, third])
    assert len(result) == 3
    assert isinstance(result[0], Augmentation)
    assert result[0].steps == (*first.steps, *second.steps)
    assert result[1] is foreign
    assert merged([]) == ()
    assert result[0](sample, seeded(0)).image.shape == sample.image.shape


def test_albumentations_is_told_not_to_call_home() -> None:
    code = (
        "import socket, os; os.environ.pop('NO_ALBUMENTATIONS_UPDATE', None)\n"
        "def refuse(*_, **__): raise SystemExit('called home')\n"
        "socket.getaddrinfo = socket.create_connection = refuse\n"
        "import runner.data.augmentation; print(os.environ['NO_ALBUMENTATIONS_UPDATE'])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr
