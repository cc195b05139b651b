import contextlib
import io

import numpy as np
import pytest
import torch

from runner.contracts import Batch
from runner.nets.detection.box_precision import AveragePrecision, coco_tables, precisions
from runner.samples import Ragged
from runner.task import Boxes, Outputs

CLASSES = ("cow", "dog", "bird")


def images(count, seed, classes=3):
    """Truths, and predictions that are some of them moved about, and some of nothing."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        objects = generator.integers(0, 6)
        corner = generator.uniform(0, 400, (objects, 2))
        size = generator.uniform(8, 200, (objects, 2))
        kinds = generator.integers(0, classes, (objects, 1))
        truth = np.hstack([corner, corner + size, kinds])
        moved = truth[:, :4] + generator.normal(0, 0.12, (objects, 4)) * np.tile(size, 2)
        wrong = generator.uniform(0, 100, (3, 2))
        boxes = np.vstack([moved, np.hstack([wrong, wrong + generator.uniform(9, 90, (3, 2))])])
        kinds = np.vstack([kinds, generator.integers(0, classes, (3, 1))])
        scores = generator.uniform(0, 1, (len(boxes), 1))
        found.append((truth, np.hstack([boxes, kinds, scores])))
    return found


def pycocotools_figures(found, min_score, classes=3):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    content, rows = coco_tables(found, classes, min_score)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        judged = COCOeval(truth, truth.loadRes(rows), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged.stats[:3], judged.eval["precision"][:, :, :, 0, -1].mean(1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("min_score", [0.001, 0.25])
def test_figures_equal_those_of_pycocotools(seed, min_score):
    found = images(25, seed)
    stats, table = pycocotools_figures(found, min_score)
    np.testing.assert_allclose(precisions(found, 3, min_score), table, atol=1e-9)
    metric = AveragePrecision(CLASSES, score_threshold=min_score, also_at=(), count_from=0.25)
    values = metric.compute([(found, [(0, 1)] * 25)])
    assert [values[name] for name in ("map", "map50", "map75")] == pytest.approx(list(stats))


def batch_of(truths, is_labelled=None):
    counts = torch.tensor([len(each) for each in truths])
    values = torch.tensor(np.concatenate(truths), dtype=torch.float32)
    labelled = torch.ones(len(truths), dtype=torch.bool) if is_labelled is None else is_labelled
    rows = Ragged(values, counts, int(counts.max()))
    return Batch(
        ids=tuple(str(i) for i in range(len(truths))), image=torch.zeros(len(truths), 3, 2, 2),
        target={"boxes": rows}, mean=torch.zeros(len(truths), 3),
        std=torch.ones(len(truths), 3), is_labelled=labelled,
    )  # fmt: skip


def outputs_of(predicted, places=8):
    boxes = []
    for table in predicted:
        rows = torch.tensor(table)
        boxes.append(Boxes(rows[:, :4], rows[:, 5], rows[:, 4].long()))
    scores = torch.zeros(len(predicted), places)
    scores[:, :2] = 0.5
    return Outputs(boxes=boxes, scores=scores)


def measured(found, parts=1, **changed):
    values = {"score_threshold": 0.001, "also_at": (0.25,), "count_from": 0.25}
    states = []
    for part in range(parts):
        metric = AveragePrecision(CLASSES, **{**values, **changed})
        for start in range(part * 4, len(found), parts * 4):
            few = found[start : start + 4]
            metric.update(
                outputs_of([each[1] for each in few]), batch_of([each[0] for each in few])
            )
        states.append(metric.state())
    return AveragePrecision(CLASSES, **{**values, **changed}).compute(states)


def test_two_processes_measure_what_one_does():
    found = images(16, 9)
    assert measured(found, parts=2) == pytest.approx(measured(found, parts=1))


def test_a_threshold_for_display_loses_recall():
    found = images(30, 3)
    values = measured(found)
    assert values["map50@0.25"] < values["map50"]
    assert measured(found, score_threshold=0.25)["map50"] == pytest.approx(values["map50@0.25"])


def test_boxes_are_counted_before_and_after_suppression():
    truth = np.array([[0.0, 0, 10, 10, 1]])
    predicted = np.array([[0.0, 0, 10, 10, 1, 0.9], [50, 50, 60, 60, 0, 0.1]])
    values = measured([(truth, predicted)] * 4)
    assert values["boxes_per_image"] == 2
    assert values["places_with_box"] == 0.25
    assert values["boxes_per_image_kept"] == 1
    assert values["boxes_per_image_true"] == 1
    assert values["predicted_share/dog"] == 1
    assert values["predicted_share/cow"] == 0
    assert values["map"] == pytest.approx(1)
    assert values["ap/dog"] == values["ap50/dog"] == pytest.approx(1)
    assert "ap/cow" not in values, "no image holds one"


def test_nothing_predicted_is_nought():
    truth = np.array([[0.0, 0, 10, 10, 1]])
    values = measured([(truth, np.zeros((0, 6)))] * 4)
    assert values["map"] == values["map50"] == values["map50@0.25"] == values["ap/dog"] == 0


def test_unlabelled_samples_do_not_count():
    truth, predicted = np.array([[0.0, 0, 10, 10, 1]]), np.array([[0.0, 0, 10, 10, 1, 0.9]])
    metric = AveragePrecision(CLASSES, score_threshold=0.001, also_at=(), count_from=0.25)
    batch = batch_of([truth, truth], torch.tensor([True, False]))
    metric.update(outputs_of([predicted, predicted * 0]), batch)
    assert metric.compute([metric.state()])["map"] == pytest.approx(1)


def test_figure_that_does_not_exist_says_what_the_split_lacks():
    metric = AveragePrecision(CLASSES, score_threshold=0.1, also_at=(), count_from=0.25)
    truth, predicted = np.array([[0, 0, 4, 4, 0]]), np.zeros((0, 6))
    states = [([(truth, predicted)], [(0, 1)])]
    assert f"ap/{CLASSES[1]}" not in metric.compute(states)
    assert metric.why_absent(f"ap/{CLASSES[1]}", states).endswith(f"split is {CLASSES[1]}")
    assert metric.why_absent("miou", states) is None
    assert "no image" in metric.why_absent("map", [([], [])])
