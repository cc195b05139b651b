import pytest
import torch
from torch import nn

from runner.nets.padding import PaddedToStride, padded


class Halving(nn.Module):
    """Raises, as a U-Net would, where an edge cannot be halved exactly; returns its input."""

    def forward(self, image):
        assert all(edge % 4 == 0 for edge in image.shape[2:]), image.shape
        return image * 2


@pytest.mark.parametrize("size", [(1, 1), (4, 8), (5, 7), (3, 13), (1, 2, 3), (4, 5, 6)])
def test_any_size_comes_back_as_it_was(size):
    image = torch.rand(2, 3, *size)
    assert torch.equal(PaddedToStride(Halving(), 4)(image), image * 2)


def test_the_last_row_and_column_are_repeated():
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]])
    assert padded(image, 4)[0, 0].tolist() == [
        [1, 2, 2, 2],
        [3, 4, 4, 4],
        [5, 6, 6, 6],
        [5, 6, 6, 6],
    ]


def test_a_fitting_image_is_not_copied():
    image = torch.rand(1, 1, 8, 4)
    assert padded(image, 4) is image


def test_padding_keeps_channels_last():
    image = torch.rand(1, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    assert padded(image, 4).is_contiguous(memory_format=torch.channels_last)
