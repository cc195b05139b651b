import numpy as np
import pytest
import torch

from runner.contracts import Batch
from runner.errors import RecipeError
from runner.nets.binary.overlap import BinaryOverlap
from runner.task import Outputs


def batch_of(mask, is_labelled=(True, True)):
    return Batch(
        ids=("a", "b"),
        image=torch.zeros(2, 1, *mask.shape[1:], dtype=torch.uint8),
        target={"mask": mask.to(torch.uint8)},
        mean=torch.zeros(2, 1),
        std=torch.ones(2, 1),
        is_labelled=torch.tensor(is_labelled),
    )


def case(seed=0, size=(5, 6, 4)):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 2, *size, generator=generator)
    mask = torch.randint(0, 2, (2, *size), generator=generator)
    mask[torch.rand(mask.shape, generator=generator) < 0.3] = 255
    return logits, mask


def figures(*cases, is_labelled=(True, True)):
    metric = BinaryOverlap("mask")
    for logits, mask in cases:
        metric.update(Outputs(logits=logits), batch_of(mask, is_labelled))
    return metric.compute([metric.state()])


def by_numpy(*cases):
    p = np.concatenate([logits.double().softmax(1)[:, 1].numpy().ravel() for logits, _ in cases])
    y = np.concatenate([mask.numpy().ravel() for _, mask in cases])
    valid, predicted, true = y != 255, p > 0.5, y == 1
    both, either = (predicted & true).sum(), (valid & (predicted | true)).sum()
    return {
        "dice": 2 * both / ((predicted & valid).sum() + true.sum()),
        "iou": both / either,
        "foreground_share_predicted": predicted[valid].mean(),
        "foreground_share_labelled": true[valid].mean(),
        "foreground_share_everywhere": predicted.mean(),
        "probability_std": p[valid].std(),
    }


def test_figures_agree_with_numpy_over_several_batches():
    cases = [case(seed, (5, 6, seed + 1)) for seed in range(4)]
    assert figures(*cases) == pytest.approx(by_numpy(*cases), rel=1e-5)


def test_figures_of_two_processes_are_those_of_one():
    cases = [case(seed) for seed in range(3)]
    metrics = BinaryOverlap("mask"), BinaryOverlap("mask")
    for number, (logits, mask) in enumerate(cases):
        metrics[number % 2].update(Outputs(logits=logits), batch_of(mask))
    found = metrics[0].compute([metric.state() for metric in metrics])
    assert found == pytest.approx(figures(*cases))


def test_an_unlabelled_sample_is_not_counted():
    logits, mask = case()
    alone = figures((logits, mask), is_labelled=(True, False))
    mask[1], logits[1] = 1, 9.0
    assert figures((logits, mask), is_labelled=(True, False)) == alone


def test_a_constant_prediction_has_no_spread_however_sure():
    _, mask = case()
    logits = torch.tensor([0.0, 7.0]).view(1, 2, 1, 1, 1).expand(2, 2, *mask.shape[1:])
    found = figures(*[(logits, mask)] * 50)
    assert found["probability_std"] == pytest.approx(0, abs=1e-6)
    assert found["foreground_share_predicted"] == found["foreground_share_everywhere"] == 1


def test_dice_of_foreground_everywhere_follows_from_its_share():
    _, mask = case()
    logits = torch.tensor([0.0, 7.0]).view(1, 2, 1, 1, 1).expand(2, 2, *mask.shape[1:])
    found = figures((logits, mask))
    share = found["foreground_share_labelled"]
    assert found["dice"] == pytest.approx(2 * share / (1 + share))


def test_a_figure_that_does_not_exist_has_no_key():
    logits, mask = case()
    assert figures() == {}
    assert figures((logits, torch.full_like(mask, 255))).keys() == {"foreground_share_everywhere"}
    nothing = figures((logits.mul(0) + torch.tensor([1.0, 0]).view(1, 2, 1, 1, 1), mask.mul(0)))
    assert "dice" not in nothing and nothing["foreground_share_labelled"] == 0


def test_a_target_that_the_data_lack_is_named():
    logits, mask = case()
    with pytest.raises(RecipeError, match="no target 'truth'; name one of mask"):
        BinaryOverlap("truth").update(Outputs(logits=logits), batch_of(mask))


def test_images_are_counted_as_volumes_are():
    cases = [case(0, (7, 9))]
    assert figures(*cases) == pytest.approx(by_numpy(*cases), rel=1e-5)


def test_figure_that_does_not_exist_says_what_the_split_lacks():
    logits, mask = case()
    nothing = torch.stack([torch.ones(mask.shape), torch.zeros(mask.shape)], 1)
    for labels, why in ((255, "has a class, all are ignored"), (0, "is foreground, and none is")):
        metric = BinaryOverlap("mask")
        metric.update(Outputs(logits=nothing), batch_of(torch.full_like(mask, labels), (True,) * 2))
        assert "dice" not in metric.compute([metric.state()])
        assert why in metric.why_absent("dice", [metric.state()])
        assert metric.why_absent("miou", [metric.state()]) is None
