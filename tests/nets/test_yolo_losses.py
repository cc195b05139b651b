import math

import pytest
import torch
from torch.nn import functional

from runner.contracts import Progress
from runner.nets.detection.grid import GridPredictions, Objects, grid_points
from runner.nets.detection.losses import (
    OverlapMatched,
    Ramp,
    TaskAligned,
    binary_focal,
    distribution_focal,
    edge_distances,
    match_by_place,
)

START = Progress(0, 0, 0)


def at_epoch(epoch):
    return Progress(10 * epoch, epoch, epoch / 100)


@pytest.mark.parametrize(
    ("start", "end", "epochs"), [(0.3, 0.5, 10), (0.2, 0.4, 20), (0.25, 0.45, 30)]
)
def test_the_match_rises_epoch_by_epoch_as_the_seed_has_it(start, end, epochs):
    ramp = Ramp(start, end, epochs)
    for epoch in range(40):
        wanted = start + min(epoch / epochs, 1.0) * (end - start)
        assert ramp(at_epoch(epoch)) == pytest.approx(wanted)
        assert ramp(at_epoch(epoch + 0.9)) == pytest.approx(wanted)
    # 3 compressed into fractions that sum to a little less
    assert ramp(at_epoch(3 - 1e-12)) == ramp(at_epoch(3))


def test_distribution_focal_loss_is_as_computed_by_hand():
    torch.manual_seed(0)
    logits = torch.randn(50, 16, dtype=torch.float64)
    distance = 14.9 * torch.rand(50, dtype=torch.float64)
    got = distribution_focal(logits, distance)
    for number in range(50):
        weights = [math.exp(value) for value in logits[number].tolist()]
        y = distance[number].item()
        low = int(y)
        wanted = 0.0
        for bin, share in ((low, low + 1 - y), (low + 1, y - low)):
            wanted -= share * math.log(weights[bin] / sum(weights))
        assert got[number].item() == pytest.approx(wanted)


def test_distribution_focal_loss_is_least_where_the_mean_is_the_distance():
    logits = torch.zeros(16, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        distribution_focal(logits, torch.tensor(3.3)).backward()
        optimizer.step()
    mean = (logits.softmax(0) * torch.arange(16)).sum().item()
    assert mean == pytest.approx(3.3, abs=0.05)


@pytest.mark.parametrize("distance", [-1.0, 0.0, 15.0, 40.0])
def test_a_distance_that_cannot_be_predicted_stays_finite(distance):
    assert torch.isfinite(distribution_focal(torch.zeros(16), torch.tensor(distance)))


def test_edge_distances_lead_back_to_the_box():
    given = grid(batch=1)
    box = torch.tensor([3.0, 5, 40, 50]).expand(1, len(given.points), 4)
    edges = edge_distances(given, box) * given.strides[:, None]
    back = torch.cat([given.points - edges[..., :2], given.points + edges[..., 2:]], -1)
    torch.testing.assert_close(back, box)


def test_focal_without_alpha_and_gamma_is_cross_entropy():
    logits, target = torch.randn(20), torch.randint(0, 2, (20,)).float()
    plain = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    torch.testing.assert_close(binary_focal(logits, target, None, 0.0), plain)
    p = logits.sigmoid()
    fitting = p * target + (1 - p) * (1 - target)
    weight = 0.25 * target + 0.75 * (1 - target)
    wanted = weight * (1 - fitting) ** 2 * plain
    torch.testing.assert_close(binary_focal(logits, target, 0.25, 2.0), wanted)


def grid(batch=2, classes=2, seed=0, bins=None):
    generator = torch.Generator().manual_seed(seed)
    points, strides = grid_points([(4, 4)], [16], torch.zeros(1))
    edges = 4 + 20 * torch.rand(batch, 16, 4, generator=generator)
    boxes = torch.cat([points - edges[..., :2], points + edges[..., 2:]], -1).requires_grad_()
    logits = torch.randn(batch, 16, classes, generator=generator).requires_grad_()
    distances = None
    if bins:
        distances = torch.randn(batch, 16, 4, bins, generator=generator).requires_grad_()
    return GridPredictions(boxes, logits, points, strides, distances)


def two_images():
    boxes = torch.tensor([[[2.0, 2, 30, 34], [33, 30, 60, 62]], [[10, 12, 50, 44], [0, 0, 0, 0]]])
    classes = torch.tensor([[0, 1], [1, 0]])
    return Objects(boxes, classes, torch.tensor([[True, True], [True, False]]))


def nothing(batch=2):
    return Objects(
        torch.zeros(batch, 0, 4),
        torch.zeros(batch, 0, dtype=torch.int64),
        torch.zeros(batch, 0, dtype=torch.bool),
    )


def overlap_matched(threshold=0.3, **changed):
    values = {
        "box_weight": 5.0, "class_weight": 1.0, "alpha": 0.25, "gamma": 2.0, "negatives": False,
    }  # fmt: skip
    return OverlapMatched(threshold=lambda _: threshold, **{**values, **changed})


def giou_of(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return inter / union - (hull - union) / hull


def seeds_loss(given, true, threshold, box_weight, class_weight, gamma):
    """SPEC 5 with loops: positives only, five nearest where an image has none."""
    apart, entropy, count = 0.0, 0.0, 0
    for sample in range(len(given.boxes)):
        real = [n for n in range(true.boxes.shape[1]) if true.is_real[sample, n]]
        if not real:
            continue
        rows = []
        for point in range(given.boxes.shape[1]):
            box = given.boxes[sample, point].tolist()
            best = max((giou_of(box, true.boxes[sample, n].tolist()), n) for n in real)
            rows.append((*best, point))
        matched = [row for row in rows if row[0] > threshold]
        for overlap, number, point in matched or sorted(rows, reverse=True)[:5]:
            count += 1
            apart += 1 - overlap
            for kind in range(given.logits.shape[2]):
                p = given.logits[sample, point, kind].sigmoid().item()
                if kind == true.classes[sample, number]:
                    entropy += -0.25 * (1 - p) ** gamma * math.log(p)
                else:
                    entropy += -0.75 * p**gamma * math.log(1 - p)
    return box_weight * apart / count, class_weight * entropy / count


@pytest.mark.parametrize("threshold", [-0.2, 0.1, 0.3, 0.95])
def test_the_seeds_loss_is_as_loops_compute_it(threshold):
    given, true = grid(), two_images()
    got = overlap_matched(threshold)(given, true, START)
    box, kinds = seeds_loss(given, true, threshold, 5.0, 1.0, 2.0)
    assert got["box"].item() == pytest.approx(box, rel=1e-4)
    assert got["class"].item() == pytest.approx(kinds, rel=1e-4)


def test_an_image_in_which_nothing_is_matched_has_its_five_nearest():
    _, is_matched = OverlapMatched.match(grid(), two_images(), 0.999)
    assert is_matched.sum(1).tolist() == [5, 5]


def test_a_place_is_matched_by_the_object_in_whose_middle_it_lies():
    given, true = grid(), two_images()
    owner, is_matched = match_by_place(given, true)
    for sample in range(2):
        for place, point in enumerate(given.points.tolist()):
            found = []
            for number in range(2):
                if not true.is_real[sample, number]:
                    continue
                x1, y1, x2, y2 = true.boxes[sample, number].tolist()
                x, y = abs(point[0] - (x1 + x2) / 2), abs(point[1] - (y1 + y2) / 2)
                if x <= max((x2 - x1) / 4, 8) and y <= max((y2 - y1) / 4, 8):
                    found.append((x + y, number))
            assert is_matched[sample, place] == bool(found)
            if found:
                assert owner[sample, place] == min(found)[1]


def test_every_object_has_a_place_wherever_it_stands():
    torch.manual_seed(0)
    for _ in range(20):
        corner = 50 * torch.rand(1, 1, 2)
        tiny = Objects(
            torch.cat([corner, corner + 2], -1),
            torch.zeros(1, 1, dtype=torch.int64),
            torch.ones(1, 1, dtype=torch.bool),
        )
        assert match_by_place(grid(batch=1), tiny)[1].any()


def test_a_match_by_place_does_not_ask_what_is_predicted():
    one, other = grid(seed=0), grid(seed=5)
    first, second = (match_by_place(given, two_images())[1] for given in (one, other))
    assert torch.equal(first, second)
    loss = OverlapMatched(
        threshold=None, box_weight=1.0, class_weight=1.0, alpha=None, gamma=0.0, negatives=True
    )
    terms = loss(one, two_images(), START)
    count = first.sum().item()
    kinds = torch.zeros_like(one.logits)
    owner, _ = match_by_place(one, two_images())
    for sample, place in first.nonzero().tolist():
        kinds[sample, place, two_images().classes[sample, owner[sample, place]]] = 1
    wanted = functional.binary_cross_entropy_with_logits(one.logits, kinds, reduction="sum")
    torch.testing.assert_close(terms["class"], wanted / count)
    assert not loss(one, nothing(), START)["box"]


def test_the_configured_weights_reach_the_loss():
    given, true = grid(), two_images()
    first = overlap_matched(box_weight=5.0, class_weight=1.0)(given, true, START)
    second = overlap_matched(box_weight=7.5, class_weight=0.5)(given, true, START)
    assert second["box"].item() == pytest.approx(1.5 * first["box"].item())
    assert second["class"].item() == pytest.approx(0.5 * first["class"].item())


def test_what_is_not_matched_learns_only_where_negatives_are_on():
    true = two_images()
    for negatives in (False, True):
        given = grid()
        _, is_matched = OverlapMatched.match(given, true, 0.3)
        terms = overlap_matched(negatives=negatives)(given, true, START)
        sum(terms.values()).backward()
        gradient = given.logits.grad[~is_matched].abs().sum(1)
        assert ((gradient > 0) == negatives).all()


@pytest.mark.parametrize("negatives", [False, True])
def test_a_batch_without_objects_is_finite(negatives):
    given = grid()
    terms = overlap_matched(negatives=negatives)(given, nothing(), START)
    sum(terms.values()).backward()
    assert terms["box"].item() == 0
    assert (terms["class"].item() > 0) == negatives
    assert torch.isfinite(given.boxes.grad).all()


def task_aligned_loss(**changed):
    values = {
        "box_weight": 7.5, "class_weight": 0.5, "dfl_weight": 1.5,
        "top": 10, "alpha": 0.5, "beta": 6.0,
    }  # fmt: skip
    return TaskAligned(**{**values, **changed})


def test_yolov8s_weights_scale_its_terms():
    given, true = grid(bins=8), two_images()
    one = {f"{name}_weight": 1.0 for name in ("box", "class", "dfl")}
    plain = task_aligned_loss(**one)(given, true, START)
    weighted = task_aligned_loss()(given, true, START)
    factors = {"box": 7.5, "class": 0.5, "dfl": 1.5}
    for name, factor in factors.items():
        assert weighted[name].item() == pytest.approx(factor * plain[name].item())
        assert plain[name] > 0


def test_every_place_learns_of_classes_and_only_positives_of_boxes():
    given, true = grid(bins=8), two_images()
    terms = task_aligned_loss()(given, true, START)
    sum(terms.values()).backward()
    assert (given.logits.grad.abs().sum(2) > 0).all()
    is_moved = given.boxes.grad.abs().sum(2) > 0
    assert 0 < is_moved.sum() < is_moved.numel()
    assert torch.equal(is_moved, given.distances.grad.abs().sum((2, 3)) > 0)


def test_yolov8s_loss_of_a_batch_without_objects_is_that_of_the_background():
    given = grid(bins=8)
    terms = task_aligned_loss()(given, nothing(), START)
    wanted = 0.5 * functional.softplus(given.logits).sum()
    torch.testing.assert_close(terms["class"], wanted)
    assert terms["box"].item() == terms["dfl"].item() == 0
    sum(terms.values()).backward()
    assert torch.isfinite(given.boxes.grad).all()
