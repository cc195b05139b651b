"""Versions that merge what nobody labelled are trained on it, and scored without it."""

import numpy as np
import pytest

from runner.contracts import Draw
from runner.data.volumes.split import TileSplit, WholeSplit
from runner.engine.reading import read_data
from runner.language.load import load
from runner.language.machine import Machine


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    machine = Machine(cache=str(tmp_path_factory.mktemp("cache")))

    def read(policy: str) -> TileSplit | WholeSplit:
        sets = [f"data.params.label_policy={policy}"]
        split = read_data(load("vesuvius_corrected", sets=sets).recipe, machine).splits["val"]
        assert isinstance(split, TileSplit | WholeSplit)
        return split

    return {policy: read(policy) for policy in ("ignore", "merge_ignore")}


def test_truth_is_the_same_whatever_the_policy_trains_on(splits):
    generator = np.random.default_rng(0)
    for index in range(len(splits["ignore"])):
        honest, merged = (splits[p].load(Draw(index, index), generator) for p in splits)
        truth = honest.target["mask"]
        assert np.array_equal(honest.target["truth"], truth)
        assert np.array_equal(merged.target["truth"], truth)
        unlabelled = truth == 255
        assert unlabelled.any()
        assert (merged.target["mask"][unlabelled] == 1).all()
        assert np.array_equal(merged.target["mask"][~unlabelled], truth[~unlabelled])
