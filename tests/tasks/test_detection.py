from dataclasses import replace

import numpy as np
import pytest
import torch

from runner.contracts import DataContext, DataSpec, Draw, Progress
from runner.data.samples import sample_folder
from runner.engine.batches import collate
from runner.registry import datasets, metrics, tasks
from runner.samples import Ragged
from runner.tasks.detection_panels import outlined, panel

START = Progress(0, 0, 0)
CLASSES = ("cow", "dog")
BACKBONE = {"name": "conv_backbone", "params": {"widths": [8, 16, 16, 32]}}
HEADS = {
    "overlap_matched": {"name": "single_level_head"},
    "task_aligned": {"name": "yolov8_head", "params": {"norm": "group"}},
}
LOSSES = {
    "overlap_matched": {"match": {"start": 0.25, "end": 0.45, "epochs": 30}},
    "task_aligned": {},
}


def built(loss="task_aligned", backbone=BACKBONE, **changed):
    torch.manual_seed(0)
    params = {
        "backbone": backbone, "head": HEADS[loss],
        "loss": {"name": loss, "params": LOSSES[loss]}, **changed,
    }  # fmt: skip
    spec = DataSpec(CLASSES, ragged=frozenset({"boxes"}))
    return tasks.parse({"name": "detection", "params": params}).build(spec)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    params = {
        "root": "sample:yolov8", "format": "yolo", "images": "images/{split}/*.jpg",
        "annotations": "labels/{split}/{stem}.txt", "classes": list(CLASSES),
        "splits": {"folders": {"train": "train", "val": "val"}}, "size": [128, 128],
        "cache": False,
    }  # fmt: skip
    context = DataContext(lambda root: sample_folder(root, cache), cache)
    return datasets.parse({"name": "boxes", "params": params}).build(context).splits["train"]


def batch_of(split, indices):
    generator = np.random.default_rng(0)
    samples = [split.load(Draw(index, index), generator) for index in indices]
    return collate(samples, split.spec.ragged)


def with_both_classes(split, count=4):
    """Indices of images, one of the rare class first."""
    kinds = [set(picture.boxes[:, 4]) for picture in split.pictures]
    rare = [index for index, kind in enumerate(kinds) if 1 in kind][:1]
    return [*rare, *(index for index in range(count) if index not in rare)][:count]


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_scalars_that_reach_every_weight(loss, split):
    task = built(loss)
    terms = task(batch_of(split, range(4)), START)
    assert set(terms) == {"box", "class"} | ({"dfl"} if loss == "task_aligned" else set())
    assert all(term.ndim == 0 for term in terms.values())
    sum(terms.values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in task.parameters())


@pytest.mark.parametrize("loss", LOSSES)
def test_assessing_is_losses_and_outputs_in_one(loss, split):
    task, batch = built(loss).eval(), batch_of(split, range(2))
    with torch.no_grad():
        terms, outputs = task.assess(batch, START)
        alone, again = task.losses(batch, START), task.outputs(batch)
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {name: term.item() for name, term in alone.items()}
    )
    both = zip(outputs.boxes, again.boxes, strict=True)
    assert all(torch.equal(one.corners, other.corners) for one, other in both)
    assert outputs.scores.shape == again.scores.shape


def test_a_batch_without_a_box_trains(split):
    batch = batch_of(split, range(2))
    empty = Ragged(torch.zeros(0, 5), torch.zeros(2, dtype=torch.int64), 0)
    for loss in LOSSES:
        terms = built(loss)(replace(batch, target={"boxes": empty}), START)
        assert all(torch.isfinite(term) for term in terms.values())


def test_unlabelled_samples_add_nothing_to_the_boxes(split):
    task = built("overlap_matched").eval()
    whole, first = batch_of(split, range(2)), batch_of(split, range(1))
    half = replace(whole, is_labelled=torch.tensor([True, False]))
    torch.testing.assert_close(task(half, START)["box"], task(first, START)["box"])


def test_the_match_follows_the_progress(split):
    task, batch = built("overlap_matched").eval(), batch_of(split, range(4))
    first, last = (task(batch, Progress(0, epoch, 0))["box"].item() for epoch in (0, 30))
    assert task.loss.threshold(Progress(0, 30, 0)) == pytest.approx(0.45)
    assert first != last
    assert first == task(batch, Progress(9, 0.9, 0))["box"].item()


@pytest.mark.parametrize("loss", LOSSES)
def test_four_images_are_learned_by_heart(loss, split):
    indices = with_both_classes(split)
    batch = batch_of(split, indices)
    wide = {"name": "conv_backbone", "params": {"widths": [16, 24, 32, 64]}}
    task = built(loss, wide, nms_iou=0.6)
    if loss == "overlap_matched":
        task.loss.class_weight = 5.0
    optimizer = torch.optim.AdamW(task.parameters(), 3e-3)
    metric = metrics.parse({"name": "average_precision"})
    reached = 0.0
    for step in range(240):
        optimizer.zero_grad()
        sum(task(batch, START).values()).backward()
        optimizer.step()
        if step % 20 == 19:
            task.eval()
            with torch.no_grad():
                outputs = task.outputs(batch)
            task.train()
            fresh = metric.build(task.spec)
            fresh.update(outputs, batch)
            reached = fresh.compute([fresh.state()])["map50"]
            if reached > 0.95:
                break
    assert reached > 0.95


def test_panels_show_true_boxes_beside_predicted_ones(split):
    task, batch = built(display_score=0.0).eval(), batch_of(split, range(2))
    with torch.no_grad():
        pictures = task.panels(batch, task.outputs(batch))
    assert [picture.shape for picture in pictures] == [(128, 256, 3)] * 2
    assert all(picture.dtype == np.uint8 for picture in pictures)
    plain = batch.image[0].permute(1, 2, 0).numpy()
    assert not np.array_equal(pictures[0][:, :128], plain), "the true boxes are drawn"


def test_an_outline_lies_on_the_boxs_edge():
    image = np.zeros((3, 40, 60), np.uint8)
    box = np.array([[10.0, 5, 30, 20, 1]])
    shown = panel(image, box, np.zeros((0, 5)))
    assert shown.shape == (40, 120, 3)
    rows, columns = np.nonzero(shown.sum(2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 20, 10, 30)
    assert not shown[10, 20].any(), "its inside is left as it is"
    beyond = outlined(np.zeros((40, 60, 3), np.uint8), np.array([[-10.0, -5, 300, 200, 0]]))
    assert beyond[0].any() and beyond[-1].any()


def test_images_that_the_stride_does_not_divide_are_padded_below_and_to_the_right(split):
    task, batch = built(), batch_of(split, range(2))
    cut = replace(batch, image=batch.image[..., :100, :116])
    found = task.predictions(cut)
    assert found.boxes.shape[1] == sum(112 // each * (128 // each) for each in (4, 8, 16))
    torch.testing.assert_close(found.points[0], torch.tensor([2.0, 2.0]))
    assert all(torch.isfinite(term) for term in task(cut, START).values())
