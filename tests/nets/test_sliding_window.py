import gc

import pytest
import torch

from runner.nets.sliding_window import SlidingWindow, _shares, blended_logits


def pointwise(patches):
    return torch.stack([patches[:, 0] * 2.0, patches[:, 0] - 1.0], 1)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize(
    ("size", "window"),
    [((17, 30), (8, 9)), ((9, 14, 11), (4, 8, 8)), ((5, 20, 6), (8, 8, 8)), ((3, 3, 3), (1, 1, 1))],
)
def test_windows_of_a_pointwise_model_give_what_the_whole_does(size, window, overlap):
    image = torch.randn(1, *size, generator=torch.Generator().manual_seed(0))
    got = blended_logits(pointwise, image, SlidingWindow(window, overlap, 3))
    assert torch.allclose(got, pointwise(image[None])[0], atol=1e-5)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
@pytest.mark.parametrize(("length", "edge"), [(128, 128), (129, 128), (320, 128), (7, 3), (5, 1)])
def test_shares_sum_to_one_at_each_pixel_and_none_is_zero(length, edge, overlap):
    starts, shares = _shares(length, edge, overlap)
    total = torch.zeros(length)
    for start, share in zip(starts, shares, strict=True):
        total[start : start + edge] += share
    assert torch.allclose(total, torch.ones(length), atol=1e-6)
    assert shares.min() > 0
    assert (starts[0], starts[-1]) == (0, length - edge)


def test_half_an_overlap_starts_a_window_every_half_window():
    assert _shares(16, 8, 0.5)[0] == [0, 4, 8]
    assert _shares(17, 8, 0.5)[0] == [0, 4, 8, 9]


def test_a_window_counts_most_at_its_centre():
    # Predictions are 1 in the first window and 0 in the second: what is left is the first's share.
    given = iter([1.0, 0.0])
    image = torch.zeros(1, 24, 4)
    got = blended_logits(
        lambda patches: torch.full_like(patches, next(given)), image, SlidingWindow((16, 4), 0.5, 1)
    )[0, :, 0]
    # Sigma is 2 pixels; centres are at 7.5 and 15.5: equal at 11.5.
    gaussian = torch.exp(-0.5 * ((torch.arange(24.0) - 7.5) / 2) ** 2)
    other = torch.exp(-0.5 * ((torch.arange(24.0) - 15.5) / 2) ** 2)
    expected = (gaussian / (gaussian + other))[8:16]
    assert torch.allclose(got[8:16], expected, atol=1e-6)
    assert (got[:8] == 1).all() and (got[16:] == 0).all()


def test_windows_come_in_batches_of_the_windows_own_size():
    seen = []

    def model(patches):
        seen.append(tuple(patches.shape))
        return pointwise(patches)

    blended_logits(model, torch.zeros(1, 10, 8, 6), SlidingWindow((4, 8, 8), 0.5, 3))
    assert seen == [(3, 1, 4, 8, 6), (1, 1, 4, 8, 6)]


def test_half_precision_logits_are_blended_in_float32():
    image = torch.rand(1, 20, 20)
    got = blended_logits(lambda x: pointwise(x).bfloat16(), image, SlidingWindow((8, 8), 0.5, 2))
    assert got.dtype == torch.float32
    assert torch.allclose(got, pointwise(image[None])[0], atol=0.02)


def test_an_image_of_bytes_is_never_converted_whole():
    dtypes = set()

    def model(patches):
        dtypes.add(patches.dtype)
        return pointwise(patches.float())

    blended_logits(model, torch.zeros(1, 20, 20, dtype=torch.uint8), SlidingWindow((8, 8), 0.5, 2))
    assert dtypes == {torch.uint8}


def test_only_an_edge_longer_than_the_window_exceeds_it():
    window = SlidingWindow((8, 8), 0.5, 1)
    assert not window.is_exceeded_by((8, 3))
    assert window.is_exceeded_by((8, 9))


def test_no_tensor_of_a_volume_outlives_its_result():
    window, image = SlidingWindow((8, 8, 8), 0.5, 2), torch.zeros(1, 16, 16, 16)

    def alive():
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    before = alive()
    for _ in range(3):
        blended_logits(pointwise, image, window)
    assert alive() == before


@pytest.mark.gpu
def test_a_volume_that_does_not_fit_the_device_is_put_together_on_the_cpu(monkeypatch):
    image, window = torch.rand(1, 20, 20, 20), SlidingWindow((8, 8, 8), 0.5, 2)

    def model(patches):
        return pointwise(patches.cuda())

    on_device = blended_logits(model, image, window)
    assert on_device.device.type == "cuda"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, 0))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 0)
    on_cpu = blended_logits(model, image, window)
    assert on_cpu.device.type == "cpu"
    assert torch.allclose(on_cpu, on_device.cpu(), atol=1e-5)
