import numpy as np
import pytest

from runner.tasks.segmentation_panels import palette, panel


def test_every_class_has_a_colour_of_its_own():
    colours = palette()
    assert len({tuple(each) for each in colours[:64].tolist()}) == 64


def test_no_class_is_drawn_in_the_grey_of_what_is_ignored():
    colours = palette()
    assert colours[255].tolist() == [128, 128, 128]
    assert (np.abs(colours[:255].astype(int) - 128).max(1) > 40).all()


def test_the_three_parts_stand_side_by_side():
    image = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    truth, predicted = np.array([[0, 255], [1, 1]]), np.array([[0, 0], [1, 2]])
    drawn = panel(image, truth, predicted)
    assert drawn.shape == (2, 6, 3) and drawn.dtype == np.uint8
    assert drawn[0, 0].tolist() == [0, 4, 8]
    assert drawn[0, 3].tolist() == [128, 128, 128]
    assert drawn[1, 5].tolist() == palette()[2].tolist()


@pytest.mark.parametrize(("channels", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (5, [0, 1, 2])])
def test_other_numbers_of_channels_are_shown(channels, shown):
    image = np.arange(channels, dtype=np.uint8).reshape(channels, 1, 1)
    mask = np.zeros((1, 1), np.int64)
    assert panel(image, mask, mask)[0, 0].tolist() == shown
