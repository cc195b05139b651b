"""Figures of a data set, and what they mean, are exact."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from runner.data.points.draws import Balanced, Mixed, PointingOrder
from runner.engine.reading import read_data
from runner.errors import DataError, RecipeError
from runner.insight.analysis import analyze
from runner.insight.analysis_plots import histograms
from runner.insight.analysis_remarks import class_remarks, source_of, source_remarks
from runner.language.load import load
from runner.language.machine import Machine
from runner.nets.class_weights import balanced_weights
from runner.statistics import SplitStatistics, Statistics

CAMVID = Path(__file__).parents[2] / ".." / "shared" / "data" / "camvid"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    return Machine(cache=str(tmp_path_factory.mktemp("cache")), workers=0)


def kinds(found):
    return [remark.kind for remark in found.statistics.remarks]


def test_statistics_are_what_from_data_trains_with(machine):
    loaded = load("uav_baseline")
    found = analyze(loaded, machine)
    pixels = read_data(loaded.recipe, machine).spec.measured["class_pixels"]
    assert tuple(found.statistics.classes.values()) == pixels
    assert tuple(found.statistics.weights.values()) == balanced_weights(pixels)
    assert found.statistics.items == {"train": 67, "val": 15, "test": 14}
    assert kinds(found) == ["imbalance"]
    assert not found.problems


def test_weights_of_the_seeds_shares():
    weights = balanced_weights([0.28, 63.17, 18.83, 17.72])
    assert [float(f"{weight:.4g}") for weight in weights] == [89.29, 0.3958, 1.328, 1.411]


@pytest.mark.skipif(not CAMVID.is_dir(), reason="CamVid is not at ../shared/data/camvid")
def test_camvid_in_four_classes_has_the_known_shares(machine):
    sets = [
        f"data.params.root={CAMVID.resolve()}", "data.params.mapping=class_mapping_4.csv",
        "data.params.images='{split}/images/*.jpg'", "data.params.masks='{split}/masks/{stem}.png'",
        "data.params.splits={folders: {train: train, val: val}}",
    ]  # fmt: skip
    found = analyze(load("uav_fixed", sets=sets), machine).statistics
    shares = [round(100 * share, 2) for share in found.shares.values()]
    assert shares == [0.30, 65.29, 24.21, 10.19]
    weights = [float(f"{weight:.3g}") for weight in found.weights.values()]
    assert weights == [82.3, 0.383, 1.03, 2.45]
    assert [remark.places for remark in found.remarks if remark.kind == "shared_source"] == [
        ["images/0016E5: 204 in train, 101 in val"]
    ]


@pytest.mark.parametrize("choose", [Mixed(), Balanced(0.3), Balanced(0.0), Balanced(0.5, True)])
def test_done_share_is_the_expectation_of_the_draws(choose):
    objects = [5.0, 20.0, 50.0]
    generator = np.random.Generator(np.random.Philox(0))
    draws = [choose(int(n), generator) == n for _ in range(20_000) for n in objects]
    expected = PointingOrder(3, None, choose).done_share(objects)
    assert np.mean(draws) == pytest.approx(expected, abs=0.004)


def test_done_share_is_of_the_sampler_that_is_used(machine):
    objects = read_data(load("pointer_mse").recipe, machine).spec.measured["objects"]
    mixed = analyze(load("pointer_mse"), machine)
    exact = sum(1 / (1 + each) for each in objects) / len(objects)
    assert mixed.statistics.figures["done_share"] == pytest.approx(exact, rel=1e-12)
    assert kinds(mixed) == ["done_balance"]
    balanced = analyze(load("pointer_corrected"), machine)
    assert "done_balance" not in kinds(balanced)
    assert balanced.statistics.figures["done_share"] > 0.1


def test_ignored_and_merged_voxels_are_told_apart(machine):
    merged = analyze(load("vesuvius_baseline"), machine).statistics
    apart = analyze(load("vesuvius_corrected"), machine).statistics
    assert merged.figures["merged_share"] == pytest.approx(0.53, abs=1e-3)
    assert merged.figures["merged_share"] == apart.figures["ignored_share"]
    assert merged.figures["foreground_share"] == pytest.approx(0.59, abs=0.01)
    assert apart.figures["foreground_share"] == pytest.approx(0.135, abs=0.01)


def test_sizes_of_boxes_are_measured_as_stored_and_as_trained(machine):
    sets = ["data.params.size=[256, 256]"]
    figures = analyze(load("yolov8_original", sets=sets), machine).statistics.figures
    as_stored, as_trained = figures["box_side_px/median"], figures["box_side_at_size_px/median"]
    assert as_trained == pytest.approx(2 * as_stored)
    shares = [figures[f"{size}_boxes_share"] for size in ("small", "medium", "large")]
    assert sum(shares) == pytest.approx(1)


def write_folder(root, masks):
    """Write images with masks of two classes; each mask is made by a function."""
    random = np.random.default_rng(1)
    for split, each in masks.items():
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for name, mask in each.items():
            small = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            image = cv2.resize(small, (48, 40), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(root / "images" / split / f"{name}.png"), image)
            cv2.imwrite(str(root / "masks" / split / f"{name}.png"), mask)
    return [
        f"data.params.root={root}", "data.params.images='images/{split}/*.png'",
        "data.params.masks='masks/{split}/{stem}.png'", "data.params.classes=[ground, object]",
        "data.params.splits={folders: {train: train, val: val}}",
    ]  # fmt: skip


HALF = np.repeat(np.array([[0], [1]], np.uint8), (20, 20), 0) * np.ones((1, 48), np.uint8)


def test_split_whose_masks_are_all_ignored_is_a_problem(machine, tmp_path):
    ignored = np.full_like(HALF, 255)
    sets = write_folder(tmp_path, {"train": {"a": HALF}, "val": {"b": ignored, "c": ignored}})
    found = analyze(load("segmentation", sets=sets), machine)
    [problem] = found.problems
    assert "'val' has nothing labelled: all its pixels are ignored" in str(problem)


def test_same_picture_in_two_splits_is_found(machine, tmp_path):
    names = {"train": {f"{n}": HALF for n in range(5)}, "val": {f"x{n}": HALF for n in range(3)}}
    sets = write_folder(tmp_path, names)
    copied = cv2.imread(str(tmp_path / "images/train/3.png"))
    # A little brighter and blurred: another file, the same picture.
    changed = cv2.GaussianBlur(cv2.convertScaleAbs(copied, alpha=0.95, beta=8), (3, 3), 0)
    cv2.imwrite(str(tmp_path / "images/val/x1.png"), changed)
    found = analyze(load("segmentation", sets=sets), machine)
    [remark] = [each for each in found.statistics.remarks if each.kind == "near_duplicates"]
    assert remark.count == 1
    assert remark.places[0].startswith("images/val/x1.png is like images/train/3.png")
    assert not found.problems


def test_data_set_of_a_plugin_that_lists_no_items_is_refused(machine, monkeypatch):
    from dataclasses import replace

    from runner.insight import analysis

    monkeypatch.setattr(
        analysis, "read_data", lambda *given: replace(read_data(*given), inventory=None)
    )
    with pytest.raises(RecipeError, match="does not list its items"):
        analyze(load("uav_baseline"), machine)


def test_problem_of_the_folder_leaves_no_statistics(machine, tmp_path):
    found = analyze(load("uav_baseline", data=str(tmp_path)), machine)
    assert found.statistics is None
    assert "no image matches" in str(DataError(found.problems))


@pytest.mark.parametrize(
    ("identity", "source"),
    [
        ("images/0016E5_07959", "images/0016E5"),
        ("/images/Seq05VD_f00270", "/images/Seq05VD"),
        ("5MSL0084-64_png.rf.0093abe4ef11582fc5c33cc76b73656c", "5MSL0084"),
        ("salak-1-3/images/patch_12", "salak-1-3/images/patch"),
        ("images/001", "images/"),
        ("images/hippocampus_001.nii", "images/hippocampus"),  # of hippocampus_001.nii.gz
    ],
)
def test_source_is_the_name_without_its_number(identity, source):
    assert source_of(identity) == source


def test_sources_of_one_split_and_folders_numbered_through_are_well():
    apart = {"train": ["a_1", "a_2", "b_1"], "val": ["c_1", "c_2"]}
    assert source_remarks(apart) == []
    numbered = {"train": ["1", "2", "3"], "val": ["4", "5"]}
    assert source_remarks(numbered) == []
    [remark] = source_remarks({"train": ["a_1", "b_1", "c_1"], "val": ["a_2", "a_3"]})
    assert remark.level == "warning"
    assert remark.places == ["a: 1 in train, 2 in val"]


def test_the_only_source_is_told_where_all_splits_hold_it():
    film = {"train": ["images/film_1", "images/film_2"], "val": ["images/film_3"]}
    [remark] = source_remarks(film)
    assert remark.level == "note" and "all 3 are of one source" in remark.message
    assert remark.places == ["images/film: 2 in train, 1 in val"]
    [remark] = source_remarks({**film, "test": ["images/other_1"]})
    assert "all 4 are of two sources" in remark.message
    assert remark.places == ["images/film: 2 in train, 1 in val"]
    assert source_remarks({"train": ["images/film_1"], "val": ["images/other_1"]}) == []


def test_class_that_training_lacks_is_a_warning_and_elsewhere_a_note():
    def split(**classes):
        return SplitStatistics(items=1, labelled=1, classes=classes)

    found = class_remarks(
        {"train": split(a=5.0, b=0.0, c=5.0), "val": split(a=0.0, b=1.0, c=1.0)}, "pixels"
    )
    assert [(each.kind, each.level) for each in found] == [
        ("missing_class", "warning"), ("missing_class", "note")
    ]  # fmt: skip


def test_ignored_pixels_are_told_beside_a_class_that_has_none():
    def split(**classes):
        return SplitStatistics(items=1, labelled=1, classes=classes, ignored=30.0)

    [found] = class_remarks({"train": split(a=50.0, b=20.0, c=0.0)}, "pixels")
    assert "30.00% of the pixels are ignored" in found.message
    assert "data.params.classes: {c: [255]} beside those of the others" in found.message
    [found] = class_remarks({"train": split(a=50.0, b=20.0, c=0.0)}, "voxels")
    assert "255" not in found.message


def test_statistics_survive_their_file():
    found = Statistics(
        dataset="boxes", root="sample:yolov8", fingerprint="ab", items={"train": 2}, unit="boxes",
        classes={"cow": 3.0, "dog": 0.0}, figures={"box_side_px/min": 3.5},
        splits={"train": SplitStatistics(items=2, labelled=2, classes={"cow": 3.0, "dog": 0.0})},
    )  # fmt: skip
    assert Statistics.model_validate_json(found.model_dump_json(by_alias=True)) == found


@pytest.mark.parametrize("size", [0.1 + 0.2, 1.0, 12345.678])
def test_values_that_differ_by_rounding_alone_are_plotted(size):
    image = histograms("sizes", {"train": [size, float(np.nextafter(size, 0))]})
    assert image.height > 0
