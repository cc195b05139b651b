"""Bucketed search finds what comparing each with each finds."""

import numpy as np
import pytest

from runner.insight.near_duplicates import near_duplicates


def compared_each_with_each(looks, parts, within):
    found = {}
    for item, (mine, part) in enumerate(zip(looks, parts, strict=True)):
        earlier = [
            ((mine ^ other).bit_count(), place)
            for place, other in enumerate(looks)
            if mine is not None and other is not None and parts[place] < part
        ]
        if earlier and min(earlier)[0] <= within:
            found[item] = min(earlier)[0]
    return found


@pytest.mark.parametrize("within", [0, 1, 5, 8, 16])
def test_search_equals_comparing_each_with_each(within):
    random = np.random.default_rng(within)
    looks = [int(each) for each in random.integers(0, 2**63, 300, dtype=np.uint64)]
    for place in range(150, 260):  # neighbours of items of the first split, some bits apart
        flipped = random.choice(64, random.integers(0, 20), replace=False)
        looks[place] = looks[place - 150] ^ sum(1 << int(bit) for bit in flipped)
    looks[7] = looks[280] = None
    parts = [0] * 150 + [1] * 80 + [2] * 70
    found = near_duplicates(looks, parts, within)
    assert {twin.item: twin.distance for twin in found} == compared_each_with_each(
        looks, parts, within
    )
    for twin in found:
        assert parts[twin.other] < parts[twin.item]
        assert (looks[twin.item] ^ looks[twin.other]).bit_count() == twin.distance


def test_items_of_one_split_are_not_compared():
    assert near_duplicates([5, 5, 5], [0, 0, 0], 8) == []
    assert near_duplicates([], [], 8) == []
    assert near_duplicates([None, None], [0, 1], 8) == []


def test_few_items_are_compared_where_there_are_many(monkeypatch):
    from runner.insight import near_duplicates as module

    random = np.random.default_rng(0)
    looks = [int(each) for each in random.integers(0, 2**63, 20_000, dtype=np.uint64)]
    compared = []
    compare = module._compare

    def counting(bucket, *others):
        compared.append(len(bucket) ** 2)
        compare(bucket, *others)

    monkeypatch.setattr(module, "_compare", counting)
    module.near_duplicates(looks, [0] * 15_000 + [1] * 5_000, 4)
    assert sum(compared) < 0.02 * 20_000**2
