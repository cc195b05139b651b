import numpy as np
import pytest
import torch

from runner.contracts import Batch
from runner.nets.confusion import (
    ConfusionMatrix,
    confusion_counts,
    count_codes,
    counts_without_waiting,
    mean_iou,
)
from runner.task import Outputs

CLASSES = ("rare", "safe", "danger")
RATES = {"danger_to_safe": (2, 1)}


def batch_of(mask, is_labelled=None):
    samples = len(mask)
    labelled = torch.ones(samples, dtype=torch.bool) if is_labelled is None else is_labelled
    image = torch.zeros(samples, 1, *mask.shape[1:], dtype=torch.uint8)
    return Batch(
        ids=tuple(map(str, range(samples))),
        image=image,
        target={"mask": mask},
        mean=torch.zeros(samples, 1),
        std=torch.ones(samples, 1),
        is_labelled=labelled,
    )


def predicting(classes, count=3):
    one_hot = torch.nn.functional.one_hot(torch.as_tensor(classes), count).float()
    return Outputs(logits=one_hot.movedim(-1, 1))


def measured(predicted, mask, **values):
    metric = ConfusionMatrix(CLASSES, RATES)
    metric.update(predicting(predicted), batch_of(torch.tensor(mask, dtype=torch.uint8), **values))
    return metric.compute([metric.state()])


def test_figures_are_those_counted_by_hand():
    found = measured([[[0, 1, 1, 2, 1, 1]]], [[[0, 0, 1, 2, 2, 255]]])
    assert found == pytest.approx(
        {
            "iou/rare": 1 / 2, "accuracy/rare": 1 / 2, "precision/rare": 1,
            "iou/safe": 1 / 3, "accuracy/safe": 1, "precision/safe": 1 / 3,
            "iou/danger": 1 / 2, "accuracy/danger": 1 / 2, "precision/danger": 1,
            "miou": 4 / 9, "pixel_accuracy": 3 / 5, "danger_to_safe": 1 / 2,
        }
    )  # fmt: skip


def test_means_are_of_the_named_classes_alone():
    metric = ConfusionMatrix(CLASSES, {}, {"ground": (0, 1), "rest": (2,)})
    mask = torch.tensor([[[0, 0, 1, 2, 2, 255]]], dtype=torch.uint8)
    metric.update(predicting([[[0, 1, 1, 2, 1, 1]]]), batch_of(mask))
    found = metric.compute([metric.state()])
    assert found["miou/ground"] == pytest.approx(5 / 12)
    assert found["miou/rest"] == pytest.approx(1 / 2)


def test_the_mean_iou_of_a_batch_is_that_of_its_evaluation():
    mask = torch.tensor([[[0, 0, 1, 1, 255]]])
    logits = predicting([[[0, 1, 1, 1, 1]]]).logits
    found = mean_iou(confusion_counts(logits, mask))
    assert found.item() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert mean_iou(confusion_counts(logits, torch.full_like(mask, 255))).isnan()


def test_a_class_that_is_nowhere_has_no_figures_and_does_not_lower_miou():
    found = measured([[[0, 1]]], [[[0, 1]]])
    assert found["miou"] == 1
    assert not {name for name in found if name.endswith("/danger") or name == "danger_to_safe"}


def test_a_class_that_is_only_predicted_has_iou_zero():
    found = measured([[[2, 1]]], [[[1, 1]]])
    assert (found["iou/danger"], found["precision/danger"]) == (0, 0)
    assert "accuracy/danger" not in found
    assert found["miou"] == pytest.approx(1 / 4)


def test_an_evaluation_of_ignored_pixels_has_no_figures():
    assert measured([[[0, 1]]], [[[255, 255]]]) == {}


def test_a_metric_that_saw_nothing_has_no_figures():
    metric = ConfusionMatrix(CLASSES, RATES)
    assert metric.compute([metric.state()]) == {}


def test_an_unlabelled_sample_is_not_counted():
    labelled = torch.tensor([True, False])
    found = measured([[[0]], [[1]]], [[[0]], [[0]]], is_labelled=labelled)
    assert found["accuracy/rare"] == 1


def test_states_of_processes_add_up():
    torch.manual_seed(0)
    mask = torch.randint(0, 3, (4, 5, 5, 5))
    logits = torch.randn(4, 3, 5, 5, 5)
    whole, parts = ConfusionMatrix(CLASSES, RATES), []
    whole.update(Outputs(logits=logits), batch_of(mask))
    for index in range(4):
        part = ConfusionMatrix(CLASSES, RATES)
        part.update(Outputs(logits=logits[index : index + 1]), batch_of(mask[index : index + 1]))
        parts.append(part.state())
    assert whole.compute(parts) == whole.compute([whole.state()])


def test_counts_agree_with_numpy():
    generator = np.random.default_rng(0)
    mask = generator.integers(0, 4, (3, 8, 8)).astype(np.uint8)
    mask[mask == 3] = 255
    predicted = generator.integers(0, 3, (3, 8, 8))
    metric = ConfusionMatrix(CLASSES, {})
    metric.update(predicting(predicted), batch_of(torch.from_numpy(mask)))
    expected = [[((mask == t) & (predicted == p)).sum() for p in range(3)] for t in range(3)]
    assert metric.state().tolist() == expected


def test_both_ways_to_count_agree():
    codes = torch.randint(0, 12, (3, 50))
    assert torch.equal(count_codes(codes, 14), counts_without_waiting(codes, 14))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_update_does_not_wait_for_the_device():
    metric, mask = ConfusionMatrix(CLASSES, {}), torch.randint(0, 3, (2, 8, 8))
    batch, outputs = batch_of(mask).to("cuda"), Outputs(logits=torch.randn(2, 3, 8, 8).cuda())
    torch.cuda.set_sync_debug_mode("error")
    try:
        metric.update(outputs, batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert metric.state().sum() == mask.numel()


@pytest.mark.parametrize(
    ("mask", "name", "why"),
    [
        ([255, 255], "miou", "no pixel of the validation split has a class, all are ignored"),
        ([255, 255], "iou/rare", "no pixel of the validation split has a class, all are ignored"),
        ([1, 255], "accuracy/rare", "no pixel of the validation split is rare"),
        ([1, 255], "iou/rare", "no pixel of the validation split is rare"),
        ([1, 255], "miou/two", "no pixel of the validation split is rare or danger"),
        ([1, 255], "missed", "no pixel of the validation split is danger"),
        ([255, 255], "", "no pixel of the validation split has a class, all are ignored"),
        ([0, 2], "", None),
        ([0, 2], "precision/rare", ""),
        ([0, 2], "dice", None),
        ([0, 2], "iou/sky", None),
    ],
)
def test_figure_that_does_not_exist_says_what_the_split_lacks(mask, name, why):
    classes = ("rare", "common", "danger")
    metric = ConfusionMatrix(classes, {"missed": (2, 1)}, {"two": (0, 2)})
    metric.update(predicting([[[1, 1]]]), batch_of(torch.tensor([[mask]], dtype=torch.uint8)))
    assert name not in metric.compute([metric.state()])
    said = metric.why_absent(name, [metric.state()])
    assert said == why if not why else said.startswith(why)
