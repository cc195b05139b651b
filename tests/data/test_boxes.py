import numpy as np
import pytest

from runner.data.boxes.images import Row, mended
from runner.data.boxes.letterbox import Letterbox


def faults_of(*corners):
    rows = [Row(f"a.txt:{n}", each, 0) for n, each in enumerate(corners, start=1)]
    boxes, faults = mended(rows, 100, 200)
    return boxes[:, :4].tolist(), [(each.kind, each.place) for each in faults]


def test_a_sound_box_is_kept_as_it_is():
    assert faults_of((1, 2, 30, 40)) == ([[1, 2, 30, 40]], [])


@pytest.mark.parametrize("box", [(5, 5, 5, 20), (5, 5, 20, 5), (20, 5, 5, 20), (5, 5, 5.5, 20)])
def test_a_degenerate_box_is_named_and_left_out(box):
    assert faults_of((1, 2, 30, 40), box) == ([[1, 2, 30, 40]], [("degenerate", "a.txt:2")])


def test_a_box_beyond_its_image_is_named_and_cut_off():
    assert faults_of((150, 50, 260, 90)) == ([[150, 50, 200, 90]], [("outside", "a.txt:1")])
    assert faults_of((210, 50, 260, 90)) == ([], [("outside", "a.txt:1")])


def test_a_pixel_beyond_is_the_formats_way_of_counting():
    assert faults_of((-1, -1, 200, 100)) == ([[0, 0, 200, 100]], [])


def test_a_duplicate_is_named_with_the_first():
    rows = [
        Row("a:1", (1, 2, 30, 40), 0),
        Row("a:2", (1, 2, 30, 40), 0),
        Row("a:3", (1, 2, 30, 40), 1),
    ]
    boxes, [fault] = mended(rows, 100, 200)
    assert boxes[:, 4].tolist() == [0, 1], "of another class it is another box"
    assert (fault.kind, fault.place) == ("duplicate", "a:2")
    assert "a:1" in fault.message


def test_an_image_without_boxes_has_none():
    boxes, faults = mended([], 10, 10)
    assert boxes.shape == (0, 5)
    assert faults == []


SIZES = [(1440, 2560), (480, 640), (333, 127), (500, 500), (7, 3000), (96, 96)]


@pytest.mark.parametrize("original", SIZES)
def test_the_inverse_is_exact(original):
    letterbox = Letterbox.of(original, (320, 416))
    boxes = np.random.default_rng(0).uniform(0, 300, (50, 4))
    np.testing.assert_allclose(letterbox.inverse(letterbox.boxes(boxes)), boxes, rtol=0, atol=1e-9)


@pytest.mark.parametrize("original", SIZES)
def test_the_whole_image_fills_one_direction_and_keeps_its_middle(original):
    letterbox = Letterbox.of(original, (320, 416))
    height, width = original
    [box] = letterbox.boxes(np.array([[0.0, 0, width, height]]))
    assert box[0] >= 0 and box[1] >= 0 and box[2] <= 416 and box[3] <= 320
    assert box[2] - box[0] == 416 or box[3] - box[1] == 320
    assert abs(box[0] - (416 - box[2])) <= 1 and abs(box[1] - (320 - box[3])) <= 1


def test_image_and_boxes_move_together():
    image = np.full((90, 160, 3), 40, np.uint8)
    image[30:60, 100:140] = 200
    letterbox = Letterbox.of((90, 160), (320, 320))
    done = letterbox.image(image, 114)
    assert done.shape == (320, 320, 3)
    assert (done[0] == 114).all() and (done[-1] == 114).all()
    [[x1, y1, x2, y2]] = letterbox.boxes(np.array([[100.0, 30, 140, 60]])).round().astype(int)
    assert (done[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2] == 200).all()
    assert (done[y1 - 3, x1:x2] == 40).all()
