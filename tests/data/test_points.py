"""The way of a point from the annotation onto the canvas, and what a draw of it looks like."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.contracts import DataContext, Draw
from runner.data.points.canvas import Letterbox
from runner.data.points.draws import Mixed, PointingOrder, choice, fixed_draws
from runner.data.points.marks import Mark
from runner.data.points.order import ordered
from runner.data.points.split import PointTrainSplit
from runner.data.samples import sample_folder, write_sample
from runner.registry import datasets

EDGE = st.integers(1, 5000)


def seeded(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


@settings(max_examples=300, deadline=None)
@given(
    st.tuples(EDGE, EDGE),
    st.tuples(EDGE, EDGE),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_coordinates_find_their_way_back_from_any_canvas(source, canvas, at, error):
    box = Letterbox(source, canvas)
    point = np.array([at]) * source[::-1]
    unit = box.to_unit(point)
    assert np.allclose(box.to_source(unit), point, rtol=0, atol=1e-8 * max(source))
    on_canvas = box.to_canvas(point)
    assert (on_canvas >= -1e-9).all() and (on_canvas <= np.array(canvas[::-1]) + 1e-9).all()
    away = unit + np.array([error])
    in_px = np.array([error]) * box.source_px
    assert np.allclose(box.to_source(away) - point, in_px, rtol=1e-6, atol=1e-8 * max(source))


def test_an_image_keeps_its_proportions_in_the_middle_of_the_canvas():
    box = Letterbox((100, 200), (64, 64))
    assert (box.inner, box.corner) == ((32, 64), (16, 0))
    canvas = box.placed(box.scaled(np.full((100, 200, 3), 9, np.uint8)), np.zeros(3, np.uint8))
    assert (canvas[16:48] == 9).all() and canvas[:16].max() == canvas[48:].max() == 0


def test_rows_are_pointed_at_from_left_to_right():
    points = np.array([[90.0, 60.0], [50.0, 49.0], [10.0, 99.0], [20.0, 50.0], [80.0, 1.0]])
    assert ordered(points, "rows", 50.0)[:, 0].tolist() == [50, 80, 10, 20, 90]
    assert ordered(points, "top_to_bottom", 50.0)[:, 0].tolist() == [80, 50, 20, 90, 10]
    assert ordered(points, "as_given", 50.0)[:, 0].tolist() == [90, 50, 10, 20, 80]


def test_discs_are_numbered_where_a_number_can_be_read():
    def marked(radius: int, number: int) -> np.ndarray:
        canvas = np.zeros((40, 40, 3), np.uint8)
        Mark(radius, (250, 240, 30)).draw(canvas, 20.5, 20.5, number)
        return canvas

    assert not np.array_equal(marked(12, 1), marked(12, 17))
    assert np.array_equal(marked(2, 1), marked(2, 17))
    assert marked(2, 1).any(-1).sum() == 21
    assert (marked(12, 8)[0] == 0).all()


@pytest.mark.parametrize("at", [(0.0, 0.0), (39.9, 3.0), (40.0, 40.0), (-50.0, 9.0), (9.0, 1e6)])
def test_a_disc_beyond_the_edge_is_cut_off(at):
    canvas = np.zeros((40, 40, 3), np.uint8)
    Mark(12, (255, 255, 255)).draw(canvas, *at, 1)
    assert canvas.shape == (40, 40, 3)
    assert canvas.any() == (max(map(abs, at)) < 50 and min(at) > -12)


def test_marking_fifty_objects_takes_less_than_decoding_an_image():
    canvas, mark = np.zeros((384, 384, 3), np.uint8), Mark(12, (255, 255, 0))
    places = seeded(0).uniform(0, 384, (50, 2))

    def seconds() -> float:
        start = time.perf_counter()
        for number, (x, y) in enumerate(places, start=1):
            mark.draw(canvas, x, y, number)
        return time.perf_counter() - start

    seconds()
    assert min(seconds() for _ in range(20)) < 0.003


def test_done_modes_mark_what_they_say():
    def counted(mode, share=0.5):
        draws = [choice(mode, share)(4, seeded(seed)) for seed in range(2000)]
        return {marked: number / 2000 for marked, number in Counter(draws).items()}

    assert counted("mixed") == pytest.approx(dict.fromkeys(range(5), 0.2), abs=0.03)
    assert counted("regression") == pytest.approx(dict.fromkeys(range(4), 0.25), abs=0.03)
    assert counted("classification") == pytest.approx({3: 0.5, 4: 0.5}, abs=0.04)
    wanted = {**dict.fromkeys(range(4), 0.175), 4: 0.3}
    assert counted("balanced", 0.3) == pytest.approx(wanted, abs=0.03)


def test_an_epoch_draws_each_image_as_often():
    order = PointingOrder(5, 12, Mixed())
    drawn = [index for index, *_ in order.epoch(0, seeded(0))]
    assert len(drawn) == len(order) == 12
    assert set(Counter(drawn).values()) == {2, 3}
    assert drawn != [index for index, *_ in order.epoch(0, seeded(1))]


def test_evaluations_look_at_the_same_steps():
    objects = (3, 9, 1, 30)
    draws = fixed_draws(objects, 40, 0.25, counted=2)
    assert draws == fixed_draws(objects, 40, 0.25, counted=2)
    scored = [draw for draw in draws if not draw.is_counted]
    assert len(scored) == 40
    assert sum(draw.marked == objects[draw.image] for draw in scored) == 10
    assert set(Counter(draw.image for draw in scored).values()) == {10}
    counted = [draw for draw in draws if draw.is_counted]
    assert len(counted) == 2 and all(draw.marked == 0 for draw in counted)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    context = DataContext(lambda root: sample_folder(root, cache), cache)
    names = {"train", "val", "test"}
    params = {
        "root": "sample:pointer",
        "format": "fsc147",
        "images": "images_384_VarV2/*.jpg",
        "annotations": "annotation_FSC147_384.json",
        "splits": {"lists": dict.fromkeys(names, "Train_Test_Val_FSC_147.json")},
        "canvas": [96, 128],
        "row_px": 8.0,
        "mark_radius_px": 2,
        "mark_color": [0, 255, 0],
        "validation_draws": 20,
        "counted_images": 3,
    }
    return datasets.parse({"name": "points", "params": params}).build(context)


def test_the_target_is_the_first_object_that_is_not_marked(data):
    split = data.splits["train"]
    assert isinstance(split, PointTrainSplit)
    image = split.images[0]
    points = ordered(image.points, "rows", 8.0)
    box = Letterbox((64, 64), (96, 128))
    for marked in (0, 1, len(points)):
        sample = split.load(Draw(0, 0, None, lambda *_, k=marked: k), seeded(0))
        assert (sample.image.shape, sample.image.dtype) == ((3, 96, 128), np.uint8)
        is_green = (sample.image == np.array([0, 255, 0])[:, None, None]).all(0)
        assert is_green.any() == (marked > 0)
        assert sample.target["done"] == (marked == len(points))
        if marked < len(points):
            back = box.to_source(sample.target["point"].astype(float))
            assert back == pytest.approx(points[marked], abs=1e-4)
        else:
            assert sample.target["point"].tolist() == [0, 0]


def test_a_draw_is_a_function_of_its_generator(data):
    split = data.splits["train"]
    first, again, other = (split.load(Draw(0, 3), seeded(seed)) for seed in (1, 1, 5))
    assert np.array_equal(first.image, again.image)
    assert first.target["point"].tolist() == again.target["point"].tolist()
    assert first.id != other.id


def test_what_is_counted_has_no_mark_and_trains_nothing(data):
    split = data.splits["val"]
    assert len(split) == 23
    assert sum(not labelled for labelled in split.is_labelled) == 3
    sample = split.load(Draw(22, 22), seeded(0))
    assert sample.target["is_counted"] and not sample.is_labelled
    assert not (sample.image == np.array([0, 255, 0])[:, None, None]).all(0).any()


def test_done_is_rare_where_any_number_is_marked(data):
    assert 0.04 < data.spec.measured["done_share_mixed"][0] < 0.09
    objects = np.array(data.spec.measured["objects"])
    assert objects.min() >= 5 and objects.max() <= 50 and 18 < objects.mean() < 24


def test_a_mirrored_image_is_pointed_at_from_left_to_right_too(data):
    from dataclasses import replace

    split = data.splits["train"]
    image = split.images[0]
    view = replace(split.view, flip=1.0)
    plain = split.view.sample("a", image, 0)
    mirrored = view.sample("a", image, 0, is_flipped=True)
    assert np.array_equal(plain.image[:, :, ::-1], mirrored.image)
    box = Letterbox((64, 64), (96, 128))
    at = box.to_source(mirrored.target["point"].astype(float))
    flipped = np.stack([64 - image.points[:, 0], image.points[:, 1]], 1)
    assert at == pytest.approx(ordered(flipped, "rows", 8.0)[0], abs=1e-4)


def test_a_sample_is_a_function_of_its_seed(tmp_path: Path):
    def content(folder: Path, seed: int) -> dict[str, bytes]:
        write_sample("pointer", folder, seed)
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    first = content(tmp_path / "a", 5)
    assert first == content(tmp_path / "b", 5)
    assert first != content(tmp_path / "c", 6)
