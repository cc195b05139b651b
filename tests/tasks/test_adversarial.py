import math

import pytest
import torch
from torch import nn

from runner.contracts import Batch, DataSpec, Progress
from runner.nets.discriminator import Discriminator
from runner.nets.segmentation_losses import CrossEntropy
from runner.tasks.adversarial import Adversarial, Weights
from runner.tasks.segmentation import Segmentation

NOW = Progress(step=5, epoch=0, fraction=0)
SPEC = DataSpec(("a", "b", "c"))
TERMS = ["ce", "matching", "pseudo/ce", "discriminator"]


def batch_of(is_labelled=(True, False, False)):
    torch.manual_seed(1)
    count = len(is_labelled)
    mask = torch.randint(0, 3, (count, 8, 8), dtype=torch.uint8)
    mask[:, 0] = 255
    return Batch(
        ids=tuple("abc"),
        image=torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8),
        target={"mask": mask},
        mean=torch.full((count, 3), 128.0),
        std=torch.full((count, 3), 64.0),
        is_labelled=torch.tensor(is_labelled),
    )


def task_of(*, dropout=0.0, threshold=0.0, matching=0.1, pseudo=1.0, start_step=0):
    torch.manual_seed(0)
    net = nn.Conv2d(3, 3, 3, padding=1)
    own = Segmentation(SPEC, net, CrossEntropy([1.0] * 3, 0.0), loss_name="ce")
    judge = Discriminator(6, (4, 8), dropout)
    weights = Weights(matching, pseudo)
    return Adversarial(
        SPEC, own, judge,
        optimizer=None, weights=weights, threshold=threshold, start_step=start_step,
    ).train()  # fmt: skip


def gradients(task, names, batch=None):
    torch.manual_seed(2)
    terms = task(batch or batch_of(), NOW)
    task.zero_grad()
    sum(terms[name] for name in names).backward()
    zero = {name: torch.zeros_like(p) for name, p in task.named_parameters()}
    return zero | {n: p.grad.clone() for n, p in task.named_parameters() if p.grad is not None}


def test_there_is_a_term_for_each_of_the_papers():
    assert list(task_of()(batch_of(), NOW)) == TERMS


def test_the_generators_terms_leave_the_discriminator_alone():
    found = gradients(task_of(dropout=0.5), TERMS[:3])
    for name, gradient in found.items():
        assert bool(gradient.any()) is name.startswith("task."), name


def test_the_discriminators_term_leaves_the_generator_alone():
    found = gradients(task_of(dropout=0.5), TERMS[3:])
    for name, gradient in found.items():
        assert bool(gradient.any()) is name.startswith("discriminator."), name


def test_the_matching_of_features_alone_reaches_the_generator_through_the_discriminator():
    assert gradients(task_of(), ["matching"])["task.model.weight"].any()


def test_one_backward_of_the_sum_is_both_in_turns():
    task = task_of(dropout=0.5)
    both, one, other = (gradients(task, names) for names in (TERMS, TERMS[:3], TERMS[3:]))
    for name in both:
        torch.testing.assert_close(both[name], one[name] + other[name])


def test_the_groups_share_all_parameters_between_them():
    task = task_of()
    groups = task.groups()
    named = {name for group in groups.values() for name, _ in group.parameters}
    assert list(groups) == ["generator", "discriminator"]
    assert named == {name for name, _ in task.named_parameters()}
    assert all(n.startswith("discriminator.") for n, _ in groups["discriminator"].parameters)


@pytest.mark.parametrize(("threshold", "images"), [(0.0, 2), (1.0, 0)])
def test_images_are_believed_whole(threshold, images):
    task = task_of(threshold=threshold)
    terms, figures = task(batch_of(), NOW), task.figures()
    assert figures["pseudo/images"] == images
    assert figures["pseudo/accepted"] == images / 2
    assert figures["pseudo/count"] == images * 64
    assert bool(terms["pseudo/ce"] > 0) is (images > 0)


def test_the_discriminators_loss_begins_at_the_logarithm_of_two():
    task = task_of()
    nn.init.zeros_(task.discriminator.score.weight)
    nn.init.zeros_(task.discriminator.score.bias)
    assert task(batch_of(), NOW)["discriminator"].item() == pytest.approx(math.log(2))


def test_the_discriminators_accuracy_counts_both_kinds():
    task = task_of()
    nn.init.zeros_(task.discriminator.score.weight)
    nn.init.ones_(task.discriminator.score.bias)
    task(batch_of(), NOW)
    assert task.figures()["discriminator/accuracy"].item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("is_labelled", [(True,) * 3, (False,) * 3])
def test_a_batch_of_one_kind_gives_finite_losses_and_gradients(is_labelled):
    task, batch = task_of(), batch_of(is_labelled)
    terms = task(batch, NOW)
    assert terms["matching"] == 0
    assert all(term.isfinite() for term in terms.values())
    assert all(g.isfinite().all() for g in gradients(task, TERMS, batch).values())


def test_pseudo_labels_count_from_their_start_on():
    task = task_of(start_step=6)
    assert task(batch_of(), NOW)["pseudo/ce"] == 0
    assert task(batch_of(), Progress(6, 0, 0))["pseudo/ce"] > 0


def test_the_segmentation_alone_is_evaluated():
    task, batch = task_of().eval(), batch_of()
    terms, outputs = task.assess(batch, NOW)
    assert terms.keys() == {"ce"}
    assert torch.equal(outputs.logits, task.task.outputs(batch).logits)
