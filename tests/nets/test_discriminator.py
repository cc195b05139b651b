import pytest
import torch

from runner.nets.discriminator import Discriminator


@pytest.mark.parametrize("size", [(16, 16), (37, 21), (321, 321)])
def test_images_of_any_size_get_features_and_one_logit(size):
    judge = Discriminator(3 + 2, (4, 8), 0.5).eval()
    features, logit = judge(torch.rand(2, 3, *size), torch.rand(2, 2, *size))
    assert (features.shape, logit.shape) == ((2, 8), (2,))
    torch.testing.assert_close(logit, judge.score(features)[:, 0])


def test_it_learns_to_tell_true_masks_from_soft_ones():
    torch.manual_seed(0)
    judge = Discriminator(3 + 1, (8, 8), 0.0)
    optimizer = torch.optim.Adam(judge.parameters(), 0.01)
    image = torch.zeros(16, 1, 8, 8)
    real = torch.nn.functional.one_hot(torch.randint(0, 3, (8, 8, 8)), 3).movedim(-1, 1).float()
    soft = torch.randn(8, 3, 8, 8).softmax(1)
    target = torch.tensor([1.0] * 8 + [0.0] * 8)
    for _ in range(40):
        optimizer.zero_grad()
        _, logit = judge(torch.cat([real, soft]), image)
        torch.nn.functional.binary_cross_entropy_with_logits(logit, target).backward()
        optimizer.step()
    assert ((logit > 0) == target.bool()).all()
