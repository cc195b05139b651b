from dataclasses import replace

import pytest
import torch
from torch import nn

from runner.contracts import Batch, DataSpec, Progress
from runner.nets.conv_unet import ConvUNet
from runner.nets.segmentation_losses import CombinedSafety, CrossEntropy, Dice, Focal
from runner.nets.sliding_window import SlidingWindow
from runner.tasks.segmentation import Segmentation, is_channels_last, labelled_mask

NOW = Progress(step=0, epoch=0, fraction=0)


class Counting(nn.Module):
    """A model of one convolution that counts its passes and keeps what it was given."""

    def __init__(self, dimensions=2):
        super().__init__()
        self.net = (nn.Conv3d if dimensions == 3 else nn.Conv2d)(3, 3, 3, padding=1)
        self.passes = 0

    def forward(self, image):
        self.passes += 1
        self.given = image
        return self.net(image)


def batch_of(size=(6, 5), *, is_labelled=(True, True), dtype=torch.uint8):
    torch.manual_seed(0)
    image = torch.randint(0, 256, (2, 3, *size))
    mask = torch.randint(0, 3, (2, *size), dtype=torch.uint8)
    mask[0, 0] = 255
    return Batch(
        ids=("a", "b"),
        image=image.to(dtype),
        target={"mask": mask},
        mean=torch.full((2, 3), 128.0),
        std=torch.full((2, 3), 64.0),
        is_labelled=torch.tensor(is_labelled),
    )


def task_of(*, dimensions=2, model=None, loss=None):
    torch.manual_seed(0)
    spec = DataSpec(("a", "b", "c"), dimensions=dimensions)
    given = model or Counting(dimensions)
    return Segmentation(spec, given, loss or Dice(1.0), loss_name="dice")


def test_the_term_of_a_single_loss_bears_its_name():
    task, batch = task_of(), batch_of()
    assert task(batch, NOW).keys() == {"dice"}
    assert task(batch, NOW)["dice"].ndim == 0


def test_named_terms_keep_their_names():
    loss = CombinedSafety(
        [1.0] * 3, [[1.0] * 3] * 3,
        gamma=2.0, dice_weight=1.0, boundary_weight=0.5, boundary_px=2, smooth=1.0,
    )  # fmt: skip
    assert list(task_of(loss=loss)(batch_of(), NOW)) == ["safety_focal", "dice", "boundary"]


def test_the_model_sees_normalised_images():
    task, batch = task_of(), batch_of()
    task.outputs(batch)
    assert torch.allclose(task.model.given, (batch.image.float() - 128) / 64)


def test_a_loss_is_taken_to_where_a_volume_was_put_together():
    """Its weights, too: logits that the device has no room for are scored on the CPU."""
    loss = Focal([1.0, 2.0, 3.0], 2.0)
    task, elsewhere = task_of(loss=loss), torch.device("meta")
    assert task._loss_on(torch.device("cpu")) is loss
    logits = torch.zeros(1, 3, 4, 4, device=elsewhere)
    mask = torch.zeros(1, 4, 4, device=elsewhere, dtype=torch.int64)
    assert task._loss_on(elsewhere)(logits, mask).device == elsewhere
    assert {own.device.type for own in loss.buffers()} == {"cpu"}


@pytest.mark.gpu
def test_a_volume_that_does_not_fit_the_device_is_assessed_on_the_cpu(monkeypatch):
    batch = batch_of((20, 20, 20))
    task = task_of(dimensions=3, loss=CrossEntropy([1.0, 2.0, 3.0], 0.0)).eval()
    task.window = SlidingWindow((8, 8, 8), 0.5, 2)
    wanted, _ = task.assess(batch, NOW)
    monkeypatch.setattr("runner.nets.sliding_window._place", lambda *_: torch.device("cpu"))
    task = task.cuda()
    on_device = replace(
        batch, image=batch.image.cuda(), mean=batch.mean.cuda(), std=batch.std.cuda(),
        target={"mask": batch.target["mask"].cuda()}, is_labelled=batch.is_labelled.cuda(),
    )  # fmt: skip
    terms, outputs = task.assess(on_device, NOW)
    assert outputs.logits.device.type == "cpu"
    torch.testing.assert_close(terms["dice"].cpu(), wanted["dice"], rtol=1e-3, atol=1e-4)


def test_an_assessment_passes_forward_once():
    task, batch = task_of().eval(), batch_of()
    losses, outputs = task.assess(batch, NOW)
    assert task.model.passes == 1
    assert torch.equal(losses["dice"], task.losses(batch, NOW)["dice"])
    assert torch.equal(outputs.logits, task.outputs(batch).logits)


def test_an_unlabelled_sample_does_not_change_the_loss():
    task, batch = task_of(), batch_of(is_labelled=(True, False))
    before = task.losses(batch, NOW)["dice"]
    batch.target["mask"][1] = 0
    assert torch.equal(task.losses(batch, NOW)["dice"], before)


def test_a_batch_without_a_label_gives_zero_and_a_finite_gradient():
    task = task_of()
    loss = task(batch_of(is_labelled=(False, False)), NOW)["dice"]
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad.abs().max() == 0 for p in task.parameters())


def test_the_mask_of_an_unlabelled_sample_is_ignored():
    mask = labelled_mask(batch_of(is_labelled=(False, True)))
    assert mask.dtype == torch.int64
    assert (mask[0] == 255).all() and (mask[1] != 255).all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_panels_show_image_truth_and_prediction(dtype):
    task, batch = task_of(), batch_of(dtype=dtype)
    panels = task.panels(batch, task.outputs(batch))
    assert [(each.shape, str(each.dtype)) for each in panels] == [((6, 15, 3), "uint8")] * 2
    image = batch.image[0].permute(1, 2, 0)
    assert panels[0][:, :5].tolist() == image.tolist()
    assert (panels[0][0, 5:10] == 128).all()


def test_panels_of_volumes_show_the_middle_slice():
    task, batch = task_of(dimensions=3), batch_of((4, 6, 5))
    panels = task.panels(batch, task.outputs(batch))
    assert panels[0].shape == (6, 15, 3)
    assert panels[0][:, :5].tolist() == batch.image[0, :, 2].permute(1, 2, 0).tolist()


def test_volumes_and_images_are_trained_by_the_same_task():
    model = ConvUNet(3, 3, 3, (4, 8), "group", "relu", 1, 4)
    assert task_of(dimensions=3, model=model)(batch_of((4, 6, 8)), NOW)["dice"].isfinite()


@pytest.mark.parametrize(
    ("dimensions", "kind"), [(2, torch.channels_last), (3, torch.channels_last_3d)]
)
def test_a_converted_model_is_given_channels_last(dimensions, kind):
    task = task_of(dimensions=dimensions)
    batch = batch_of((6, 5) if dimensions == 2 else (4, 6, 5))
    expected = task.outputs(batch).logits
    assert task.model.given.is_contiguous()
    task.to(memory_format=kind)
    assert torch.allclose(task.outputs(batch).logits, expected, atol=1e-5)
    assert task.model.given.is_contiguous(memory_format=kind)


def test_a_kernel_of_one_pixel_says_nothing_of_the_layout():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3))
    assert not is_channels_last(model)
    assert is_channels_last(model.to(memory_format=torch.channels_last))
    assert not is_channels_last(nn.Conv2d(3, 4, 1))


def test_state_holds_the_model_and_the_losses_buffers():
    names = set(task_of().state_dict())
    assert names == {"model.net.weight", "model.net.bias"}
