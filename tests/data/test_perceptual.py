"""Images that look alike have nearly equal hashes, others do not."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from runner.data.perceptual import (
    correlation,
    hash_of,
    image_thumbnail,
    looks,
    volume_thumbnail,
)
from runner.errors import DataError


def scene(seed: int, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    """A picture with a few smooth blobs, as photographs have them."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)


def saved(path: Path, image: np.ndarray, *options: int) -> Path:
    cv2.imwrite(str(path), image, list(options))
    return path


def bits(first: int, second: int) -> int:
    return (first ^ second).bit_count()


def test_compressed_brighter_and_smaller_image_looks_the_same(tmp_path):
    image = scene(0)
    original = image_thumbnail(saved(tmp_path / "a.png", image))
    changed = [
        saved(tmp_path / "b.jpg", image, cv2.IMWRITE_JPEG_QUALITY, 30),
        saved(tmp_path / "c.png", cv2.convertScaleAbs(image, alpha=0.7, beta=40)),
        saved(tmp_path / "d.png", cv2.resize(image, (200, 150), interpolation=cv2.INTER_AREA)),
        saved(tmp_path / "e.jpg", cv2.resize(image, (2560, 1920))),
    ]
    for path in changed:
        thumbnail = image_thumbnail(path)
        assert bits(hash_of(original), hash_of(thumbnail)) <= 4, path
        assert correlation(original, thumbnail) > 0.98


def test_other_images_look_different(tmp_path):
    thumbnails = [image_thumbnail(saved(tmp_path / f"{n}.png", scene(n))) for n in range(20)]
    pairs = [(a, b) for n, a in enumerate(thumbnails) for b in thumbnails[:n]]
    assert min(bits(hash_of(a), hash_of(b)) for a, b in pairs) > 8
    assert max(correlation(a, b) for a, b in pairs) < 0.8


def test_bit_says_that_a_frequency_is_above_the_median():
    rows = np.cos(np.pi * (2 * np.arange(32) + 1) * 3 / 64)
    ramp = 1e-3 * np.cos(np.pi * (2 * np.arange(32) + 1) / 64)
    # Along the rows a wave of frequency 3, and a faint one of frequency 1 along the columns.
    found = hash_of(128 + 50 * rows[:, None] - ramp[None, :])
    flags = f"{found:064b}"
    assert flags[3 * 8] == "1"  # (3, 0)
    assert flags[1] == "0"  # (0, 1) is negative
    assert flags[0] == "0"  # the mean brightness never counts


def test_image_of_one_grey_has_no_looks(tmp_path):
    path = saved(tmp_path / "black.png", np.zeros((64, 64, 3), np.uint8))
    assert image_thumbnail(path) is None
    assert looks(None) is None
    assert volume_thumbnail(np.ones((20, 8, 8))) is None


def test_volume_looks_the_same_in_another_scale_of_intensities():
    random = np.random.default_rng(0)
    volume = cv2.GaussianBlur(random.normal(size=(20, 36, 28)).astype(np.float32), (5, 5), 2)
    other = cv2.GaussianBlur(random.normal(size=(20, 36, 28)).astype(np.float32), (5, 5), 2)
    first, scaled, second = map(volume_thumbnail, (volume, volume * 300 + 1000, other))
    assert hash_of(first) == hash_of(scaled)
    assert bits(hash_of(first), hash_of(second)) > 12


def test_truncated_image_is_named(tmp_path):
    path = saved(tmp_path / "a.jpg", scene(0))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"a\.jpg: is truncated"):
        image_thumbnail(path)
