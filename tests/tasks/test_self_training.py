import copy

import pytest
import torch
from torch import nn

from runner.contracts import Batch, DataSpec, Progress
from runner.nets.segmentation_losses import CrossEntropy, Dice
from runner.nets.weighted_sum import WeightedSum
from runner.tasks.segmentation import Segmentation
from runner.tasks.self_training import SelfTraining

NOW = Progress(step=5, epoch=0, fraction=0)
SPEC = DataSpec(("a", "b", "c"))


class Net(nn.Module):
    """A convolution, BatchNorm and dropout that remembers the images it was given."""

    def __init__(self, levels=1):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Dropout(0.5))
        self.levels = levels
        self.given = []

    def forward(self, image):
        self.given.append((self.training, image))
        logits = self.net(image)
        return (logits,) * self.levels if self.levels > 1 and self.training else logits


def batch_of(*, is_labelled=(True, False), strong=True, hidden=255):
    torch.manual_seed(1)
    size = (len(is_labelled), 3, 6, 5)
    mask = torch.randint(0, 3, (len(is_labelled), 6, 5), dtype=torch.uint8)
    mask[~torch.tensor(is_labelled)] = hidden
    target = {"mask": mask}
    if strong:
        target["strong"] = torch.randint(0, 256, size, dtype=torch.uint8)
    return Batch(
        ids=tuple("ab"),
        image=torch.randint(0, 256, size, dtype=torch.uint8),
        target=target,
        mean=torch.full((2, 3), 128.0),
        std=torch.full((2, 3), 64.0),
        is_labelled=torch.tensor(is_labelled),
    )


def task_of(*, levels=1, **changes):
    torch.manual_seed(0)
    loss = WeightedSum({"ce": (0.5, CrossEntropy([1.0] * 3, 0.0)), "dice": (0.5, Dice(1.0))})
    own = Segmentation(SPEC, Net(levels), loss, loss_name="sum")
    values = {
        "thresholds": [0.0] * 3, "weight": 1.0, "start_step": 0,
        "teacher_decay": 0.5, "evaluates_teacher": False,
    }  # fmt: skip
    return SelfTraining(SPEC, own, **{**values, **changes}).train()


def test_terms_of_true_and_of_pseudo_labels_are_told_apart():
    terms = task_of()(batch_of(), NOW)
    assert list(terms) == ["ce", "dice", "pseudo/ce", "pseudo/dice"]
    assert all(term > 0 for term in terms.values())


def test_a_model_of_several_levels_is_trained_on_all_of_them():
    assert task_of(levels=2)(batch_of(), NOW)["pseudo/ce"] > 0


def test_the_weight_is_that_of_the_pseudo_labels_alone():
    once, twice = task_of()(batch_of(), NOW), task_of(weight=2.0)(batch_of(), NOW)
    assert torch.equal(once["ce"], twice["ce"])
    torch.testing.assert_close(2 * once["pseudo/ce"], twice["pseudo/ce"])


@pytest.mark.parametrize(("step", "counts"), [(499.5, False), (500, True)])
def test_pseudo_labels_count_from_their_start_on(step, counts):
    terms = task_of(start_step=500)(batch_of(), Progress(step, 0, 0))
    assert bool(terms["pseudo/ce"] > 0) is counts


def test_the_student_sees_the_strong_view_of_unlabelled_images_alone():
    task, batch = task_of(), batch_of()
    task(batch, NOW)
    (_, seen), taught = task.task.model.given[-1], task.teacher.net.model.given[-1][1]
    assert torch.equal(seen[0], (batch.image[0].float() - 128) / 64)
    assert torch.equal(seen[1], (batch.target["strong"][1].float() - 128) / 64)
    assert torch.equal(taught, (batch.image.float() - 128) / 64)


def test_without_a_strong_view_student_and_teacher_see_the_same():
    task = task_of()
    task(batch_of(strong=False), NOW)
    assert torch.equal(task.task.model.given[-1][1], task.teacher.net.model.given[-1][1])


def test_own_labels_are_given_in_evaluation_mode_and_change_no_statistics():
    task, batch = task_of(teacher_decay=None), batch_of()
    before = copy.deepcopy(task.state_dict())
    task.pseudo_labels(batch)
    assert [training for training, _ in task.task.model.given] == [False]
    assert task.task.training
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())


def test_hidden_masks_never_reach_a_loss():
    known, unknown = batch_of(hidden=1), batch_of(hidden=255)
    first, second = task_of(), task_of()
    for task, batch in ((first, known), (second, unknown)):
        torch.manual_seed(3)
        sum(task(batch, NOW).values()).backward()
    for one, other in zip(first.task.parameters(), second.task.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    assert first.figures()["pseudo/precision"].isfinite()
    assert second.figures()["pseudo/precision"].isnan()


def test_figures_are_of_all_batches_of_a_step():
    task, batch = task_of(), batch_of()
    task(batch, NOW)
    one = task.figures()
    for _ in range(2):
        task(batch, NOW)
    both = task.figures()
    assert both["pseudo/count"] == 2 * one["pseudo/count"] > 0
    assert both["pseudo/accepted"] == one["pseudo/accepted"]


def test_no_gradient_goes_through_the_labels():
    task = task_of()
    sum(task(batch_of(), NOW).values()).backward()
    assert all(p.grad is None for p in task.teacher.parameters())
    assert {name for name, _ in task.groups()[""].parameters} == {
        f"task.{name}" for name, _ in task.task.named_parameters()
    }


@pytest.mark.parametrize("is_labelled", [(True, True), (False, False)])
@pytest.mark.parametrize("teacher_decay", [None, 0.5])
def test_a_batch_of_one_kind_gives_finite_losses_and_gradients(is_labelled, teacher_decay):
    task = task_of(teacher_decay=teacher_decay)
    terms = task(batch_of(is_labelled=is_labelled), NOW)
    sum(terms.values()).backward()
    empty = "pseudo/ce" if is_labelled[0] else "ce"
    assert terms[empty] == 0
    assert all(p.grad.isfinite().all() for p in task.task.parameters())


def test_the_teacher_follows_after_a_step():
    task = task_of()
    with torch.no_grad():
        for parameter in task.task.parameters():
            parameter += 1
    task.after_step(NOW)
    moved = task.teacher.net.model.net[0].bias - (task.task.model.net[0].bias - 1)
    torch.testing.assert_close(moved, torch.full((3,), 0.9))


def test_an_evaluation_looks_at_the_student_or_at_its_teacher():
    student, teacher = task_of().eval(), task_of(evaluates_teacher=True).eval()
    batch = batch_of()
    for task in (student, teacher):
        with torch.no_grad():
            task.task.model.net[0].bias += torch.tensor([9.0, 0.0, 0.0])
    terms, outputs = student.assess(batch, NOW)
    assert terms.keys() == {"ce", "dice"}
    assert torch.equal(outputs.logits, student.task.outputs(batch).logits)
    assert not torch.equal(outputs.logits, teacher.outputs(batch).logits)
    assert torch.equal(teacher.assess(batch, NOW)[1].logits, teacher.outputs(batch).logits)
    assert len(student.panels(batch, outputs)) == 2


def test_the_miou_of_a_step_is_that_of_its_labelled_pixels():
    task, batch = task_of(), batch_of(hidden=0)
    task(batch, NOW)
    found = task.figures()["miou"]
    batch.target["mask"][1] = 2
    torch.manual_seed(0)
    assert 0 <= found <= 1
    again = task_of()
    torch.manual_seed(4)
    again(batch, NOW)
    one = again.figures()["miou"]
    batch.target["mask"][1] = 255
    other = task_of()
    torch.manual_seed(4)
    other(batch, NOW)
    assert one == other.figures()["miou"]
