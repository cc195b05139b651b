"""Two processes with half of the batch each against one with all of it; also their script."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import runner
from runner.engine.distributed import start_processes, stop_processes
from runner.nets.reduction import mean_over_valid, ratio_of_sums, summed_over_processes
from runner.nets.segmentation_losses import CombinedSafety, CrossEntropy, Dice, Focal

LOSSES = {
    "focal": Focal([0.3, 1.0, 4.0], 2.0),
    "cross_entropy": CrossEntropy([0.3, 1.0, 4.0], 0.1),
    "dice": Dice(1.0),
    "combined_safety": CombinedSafety(
        [1.0, 2.0, 3.0],
        [[1, 1, 1], [1, 1, 2], [5, 3, 1]],
        gamma=2.0, dice_weight=1.0, boundary_weight=0.5, boundary_px=1, smooth=1.0,
    ),
}  # fmt: skip


class AtLeast(nn.Module):
    """A sum over the number of valid pixels, which is raised to 40 where it is less."""

    def forward(self, logits, mask):
        valid = mask != 255
        value = logits.square().sum(1).masked_fill(~valid, 0).sum()
        return ratio_of_sums(value, valid.sum().to(value.dtype), at_least=40.0)


LOSSES["at_least"] = AtLeast()
MASKS = ("all_valid", "unequal_counts", "first_ignored", "all_ignored")


def samples(name):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(4, 2, 6, 5, generator=generator, dtype=torch.float64)
    mask = torch.randint(0, 3, (4, 6, 5), generator=generator)
    if name == "unequal_counts":
        mask[0, :5] = 255
        mask[1] = 255
    elif name == "first_ignored":
        mask[:2] = 255
    elif name == "all_ignored":
        mask[:] = 255
    return image, mask


class Scored(nn.Module):
    """A network whose forward is its loss, as a task's is."""

    def __init__(self, loss):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 1))
        self.loss = loss
        self.double()

    def forward(self, image, mask):
        value = self.loss(self.net(image), mask)
        return sum(value.values()) if isinstance(value, dict) else value


def gradient(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def half_of(name, masks, rank):
    """Return the loss and the gradient of one case, from this process's half of the batch."""
    model = DistributedDataParallel(Scored(LOSSES[name]))
    image, mask = (each[2 * rank : 2 * rank + 2] for each in samples(masks))
    value = model(image, mask)
    value.backward()
    return value.detach(), gradient(model)


def work(folder):
    """Be one of two processes, joined and left as a training's are: save what each case gives."""
    torch.set_num_threads(1)
    rank = start_processes("cpu").rank
    found = {(name, masks): half_of(name, masks, rank) for name in LOSSES for masks in MASKS}
    if rank == 0:  # Alone: were it to wait for the other process, it would lose it, or time out.
        with torch.no_grad():
            image, mask = (each[:2] for each in samples("unequal_counts"))
            found["alone"] = Scored(LOSSES["combined_safety"])(image, mask)
    stop_processes()
    threads = Path("/proc/self/task").glob("*/comm")  # None, where there is no such folder.
    found["threads"] = [each.read_text().strip() for each in threads]
    torch.save(found, Path(folder, f"{rank}.pt"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    environment = {**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", __file__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_train_as_one_with_the_double_batch(results, name, masks):
    model = Scored(LOSSES[name])
    value = model(*samples(masks))
    value.backward()
    values, gradients = zip(*(each[name, masks] for each in results), strict=True)
    assert torch.stack(values).mean().item() == pytest.approx(value.item(), rel=1e-12, abs=1e-15)
    for each in gradients:
        assert torch.allclose(each, gradient(model), rtol=1e-9, atol=1e-14)
    assert (gradient(model).abs().sum() > 0) == (masks != "all_ignored")


def test_an_evaluation_does_not_wait_for_other_processes(results):
    with torch.no_grad():
        image, mask = (each[:2] for each in samples("unequal_counts"))
        expected = Scored(LOSSES["combined_safety"])(image, mask)
    assert results[0]["alone"].item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are told by /proc")
def test_no_thread_of_the_group_outlives_it(results):
    """One that still holds a tensor while the interpreter ends aborts the process, by chance."""
    for each in results:
        assert each["threads"]
        assert not [name for name in each["threads"] if "gloo" in name]


def test_one_process_sums_nothing():
    value = torch.rand(3, requires_grad=True)
    assert summed_over_processes(value) is value


def test_the_mean_leaves_out_what_is_not_valid():
    values = torch.tensor([1.0, 3.0, float("nan")], requires_grad=True)
    mean = mean_over_valid(values, torch.tensor([True, True, False]))
    mean.backward()
    assert mean.item() == 2
    assert values.grad.tolist() == [0.5, 0.5, 0]


def test_the_mean_of_nothing_is_zero_with_zero_gradient():
    values = torch.ones(3, requires_grad=True)
    mean = mean_over_valid(values, torch.zeros(3, dtype=torch.bool))
    mean.backward()
    assert mean.item() == 0
    assert values.grad.tolist() == [0, 0, 0]


def test_a_ratio_to_nothing_is_zero():
    assert ratio_of_sums(torch.tensor(3.0), torch.tensor(0.0)).item() == 0


if __name__ == "__main__":
    work(sys.argv[1])
