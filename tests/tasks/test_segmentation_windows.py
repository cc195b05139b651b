import pytest
import torch
from torch import nn

from runner.contracts import Batch, DataSpec, Progress
from runner.nets.binary.losses import BinaryDice
from runner.nets.conv_unet import ConvUNet
from runner.nets.sliding_window import SlidingWindow
from runner.tasks.segmentation import Segmentation

NOW = Progress(step=0, epoch=0, fraction=0)
WINDOW = SlidingWindow((8, 8, 8), 0.5, 2)


class Recording(nn.Module):
    """A pointwise model that keeps the sizes that it was given."""

    def __init__(self):
        super().__init__()
        self.net = nn.Conv3d(1, 2, 1)
        self.sizes = []

    def forward(self, image):
        self.sizes.append(tuple(image.shape))
        return self.net(image)


def batch_of(size=(10, 12, 8), samples=2):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (samples, 1, *size), generator=generator, dtype=torch.uint8)
    mask = torch.randint(0, 2, (samples, *size), generator=generator, dtype=torch.uint8)
    mask[0, 0] = 255
    return Batch(
        ids=tuple("ab"[:samples]),
        image=image,
        target={"mask": mask},
        mean=torch.tensor([[100.0], [150.0]])[:samples],
        std=torch.tensor([[40.0], [60.0]])[:samples],
        is_labelled=torch.ones(samples, dtype=torch.bool),
    )


def task_of(window=None, model=None):
    torch.manual_seed(0)
    spec = DataSpec(("background", "surface"), channels=1, dimensions=3)
    given = model or Recording()
    return Segmentation(spec, given, BinaryDice(1e-5), loss_name="dice", window=window).eval()


def test_windows_give_a_pointwise_model_the_logits_of_the_whole():
    whole, by_windows, batch = task_of(), task_of(WINDOW), batch_of()
    losses, outputs = by_windows.assess(batch, NOW)
    assert torch.allclose(outputs.logits, whole.outputs(batch).logits, atol=1e-5)
    assert torch.allclose(by_windows.outputs(batch).logits, outputs.logits)
    assert losses["dice"].item() == pytest.approx(whole.assess(batch, NOW)[0]["dice"].item())


def test_no_pass_is_of_more_than_a_batch_of_windows():
    task = task_of(WINDOW)
    task.outputs(batch_of())
    assert task.model.sizes == [(2, 1, 8, 8, 8), (2, 1, 8, 8, 8)] * 2


def test_an_image_that_fits_the_window_takes_one_pass():
    task = task_of(WINDOW)
    task.assess(batch_of((8, 7, 8)), NOW)
    assert task.model.sizes == [(2, 1, 8, 7, 8)]


def test_training_sees_the_whole_input():
    task = task_of(WINDOW).train()
    task(batch_of(), NOW)
    assert task.model.sizes == [(2, 1, 10, 12, 8)]


def deep():
    torch.manual_seed(0)
    return ConvUNet(1, 2, 3, (4, 4, 4), "group", "relu", 1, 4, deep_supervision=True)


def test_training_scores_every_resolution_and_evaluation_the_full_one():
    task, batch = task_of(model=deep()), batch_of((8, 8, 8))
    losses, outputs = task.assess(batch, NOW)
    assert outputs.logits.shape == (2, 2, 8, 8, 8)
    trained = task.train()(batch, NOW)
    mask = batch.target["mask"].long()
    image = (batch.image - batch.mean.view(2, 1, 1, 1, 1)) / batch.std.view(2, 1, 1, 1, 1)
    fine, coarse = (BinaryDice(1e-5)(logits, mask) for logits in task.model(image))
    assert losses["dice"].item() == pytest.approx(fine.item())
    assert trained["dice"].item() == pytest.approx((2 * fine / 3 + coarse / 3).item())
    assert torch.equal(task.logits(batch), task.model(image)[0])


def test_deep_supervision_goes_with_windows():
    task = task_of(WINDOW, deep())
    assert task.outputs(batch_of((12, 8, 8))).logits.shape == (2, 2, 12, 8, 8)
