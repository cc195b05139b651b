"""What S4GAN's post-mortem claims and arithmetic decides."""

import torch

from runner.nets.pseudo_labels import confident_labels

TABLE = {
    "background": 0.92, "Badan Air": 0.20, "Bangunan": 0.60, "Jalan": 0.70,
    "Pohon Berinang": 0.58, "Snake Fruit": 0.85, "Tanah Terbuka": 0.65,
}  # fmt: skip


def test_the_table_of_classes_averages_643_and_not_6214():
    assert round(sum(TABLE.values()) / len(TABLE), 3) == 0.643
    without = [value for name, value in TABLE.items() if name != "background"]
    assert round(sum(without) / len(without), 3) == 0.597


def test_75k_steps_take_75_hours_at_the_speed_that_was_seen():
    steps_per_hour = 11_500 / 11.5
    assert 75_000 / steps_per_hour == 75


def test_a_background_threshold_of_nought_believes_the_least_certain_background():
    # All but even: the seventh class is ahead by a hair, and the first is, in the other pixel.
    logits = torch.zeros(1, 7, 1, 2)
    logits[0, 0, 0, 0] = logits[0, 6, 0, 1] = 0.01
    thresholds = torch.tensor([0.0, 0.60, 0.65, 0.70, 0.65, 0.55, 0.60])
    labels = confident_labels(logits, thresholds, torch.tensor([False]))
    assert labels.mask.tolist() == [[[0, 255]]]


def test_counting_pixels_instead_of_images_made_the_count_large():
    # "ST_Count < 10" were whole images of a batch of eight; the same as pixels, of 256 x 256.
    assert 8 * 256 * 256 == 524_288
    assert round(50_000 / 524_288, 3) == 0.095
    assert round(20_000 / 524_288, 3) == 0.038
    assert round(5_000 / 524_288, 4) == 0.0095
