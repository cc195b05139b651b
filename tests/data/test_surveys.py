"""What single items show is what a training sees of them."""

import pickle

import cv2
import numpy as np
import pytest
import tifffile

from runner.data.samples import sample_folder
from runner.engine.reading import read_data
from runner.language.load import load
from runner.language.machine import Machine


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    return Machine(cache=str(tmp_path_factory.mktemp("cache")), workers=0)


def surveys(recipe, machine, *sets):
    data = read_data(load(recipe, sets=sets).recipe, machine)
    # As another process would be given it.
    items = pickle.loads(pickle.dumps(data.inventory.items["train"]))
    return data, [item.survey() for item in items]


@pytest.mark.parametrize(
    ("recipe", "figure", "unit"),
    [
        ("uav_baseline", "class_pixels", "pixels"),
        ("vesuvius_baseline", "class_pixels", "voxels"),
        ("vesuvius_corrected", "class_pixels", "voxels"),
        ("yolov8_original", "class_boxes", "boxes"),
    ],
)
def test_counts_are_what_from_data_would_count(recipe, figure, unit, machine):
    data, found = surveys(recipe, machine)
    assert data.inventory.unit == unit
    assert np.sum([each.counts for each in found], 0).tolist() == list(data.spec.measured[figure])
    assert not any(each.problems for each in found)
    assert len({each.looks for each in found}) == len(found)


def test_every_point_is_counted(machine):
    data, found = surveys("pointer_mse", machine)
    assert [each.counts[0] for each in found] == list(data.spec.measured["objects"])


def test_merged_label_is_counted_beside_the_classes(machine):
    _, merged = surveys("vesuvius_baseline", machine)
    _, kept_apart = surveys("vesuvius_corrected", machine)
    unlabelled = [each.samples["merged_voxels"][0] for each in merged]
    assert unlabelled == [each.ignored for each in kept_apart]
    assert [each.ignored for each in merged] == [0] * len(merged)


def test_slices_of_one_volume_are_surveyed_apart(machine, tmp_path):
    source = sample_folder("sample:vesuvius", machine.cache_folder)
    for kind in ("train_images", "train_labels"):
        (tmp_path / kind).mkdir()
        name = sorted((source / kind).iterdir())[0].name
        (tmp_path / kind / "only.tif").write_bytes((source / kind / name).read_bytes())
    sets = [
        f"data.params.root={tmp_path}",
        "data.params.splits={z_ranges: {train: [0, 20], val: [20, 32]}}",
        "data.params.splits.folds=null",
        "data.params.splits.seed=null",
        "data.params.splits.groups=null",
    ]
    loaded = load("vesuvius_baseline", sets=[*sets, "data.params.patch=[8, 32, 32]"])
    items = read_data(loaded.recipe, machine).inventory.items
    [train], [val] = items["train"], items["val"]
    assert (train.survey().shape, val.survey().shape) == ((20, 32, 32), (12, 32, 32))
    whole = [sum(each) for each in zip(train.survey().counts, val.survey().counts, strict=True)]
    assert sum(whole) == 32**3
    labels = tifffile.imread(tmp_path / "train_labels" / "only.tif")
    for item, slices in ((train, labels[:20]), (val, labels[20:])):
        assert item.survey().samples["merged_voxels"] == (float((slices == 2).sum()),)


def test_unmapped_ids_are_counted(machine, tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        image = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image)
        mask = np.zeros((20, 30), np.uint8)
        mask[:2, :number] = 9
        cv2.imwrite(str(tmp_path / "masks" / f"{number}.png"), mask)
    sets = [
        f"data.params.root={tmp_path}", "data.params.images=images/*.png",
        "data.params.masks=masks/{stem}.png", "data.params.classes=[ground, object]",
        "data.params.splits={fractions: {train: 0.5, val: 0.5}, seed: 0}",
    ]  # fmt: skip
    inventory = read_data(load("segmentation", sets=sets).recipe, machine).inventory
    found = {item.name: item.survey() for each in inventory.items.values() for item in each}
    assert found["images/0.png"].counts == (600.0, 0.0)
    assert found["images/3.png"].unmapped == {"id 9": 6}
    assert "id 9 on 6 pixels" in str(found["images/3.png"].problems[0])
    assert found["images/3.png"].counts == ()
