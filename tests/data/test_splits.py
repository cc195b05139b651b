from __future__ import annotations

import pytest

from runner.data.pairs import Named
from runner.data.splits import Fractions, dealt

IMAGES = [Named(f"{number:03}.jpg", f"{number:03}", "") for number in range(96)]
SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}


def test_fractions_deal_out_every_image_once() -> None:
    splits = dealt(IMAGES, Fractions(SHARES, 42))
    assert [len(split) for split in splits.values()] == [67, 15, 14]
    assert sorted(each.name for split in splits.values() for each in split) == [
        each.name for each in IMAGES
    ]


def test_fractions_are_a_function_of_the_seed() -> None:
    first, again = (dealt(IMAGES, Fractions(SHARES, 42)) for _ in range(2))
    assert first == again
    assert dealt(IMAGES, Fractions(SHARES, 43)) != first


def test_the_dealing_does_not_change_between_versions() -> None:
    names = [each.name for each in dealt(IMAGES, Fractions(SHARES, 42))["val"]]
    assert names[:4] == ["008.jpg", "009.jpg", "019.jpg", "031.jpg"], (
        "another split would make old and new runs incomparable"
    )


@pytest.mark.parametrize("count", range(3, 30))
def test_no_image_is_lost_by_rounding(count: int) -> None:
    splits = dealt(IMAGES[:count], Fractions(SHARES, 0))
    assert sum(len(split) for split in splits.values()) == count
