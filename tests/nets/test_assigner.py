import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from runner.nets.detection.assigner import task_aligned
from runner.nets.detection.grid import GridPredictions, Objects, grid_points

SHAPES, STRIDES, EDGE = [(8, 8), (4, 4)], [8, 16], 64


def predictions(batch=3, classes=3, seed=0, boxes=None):
    generator = torch.Generator().manual_seed(seed)
    points, strides = grid_points(SHAPES, STRIDES, torch.zeros(1))
    edges = 4 + 14 * torch.rand(batch, len(points), 4, generator=generator)
    if boxes is None:
        boxes = torch.cat([points - edges[..., :2], points + edges[..., 2:]], -1)
    logits = torch.randn(batch, len(points), classes, generator=generator)
    return GridPredictions(boxes, logits, points, strides)


def objects(counts, classes=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    most = max(counts)
    corner = 30 * torch.rand(len(counts), most, 2, generator=generator)
    size = 12 + 20 * torch.rand(len(counts), most, 2, generator=generator)
    kinds = torch.randint(0, classes, (len(counts), most), generator=generator)
    is_real = torch.arange(most) < torch.tensor(counts).unsqueeze(1)
    corners = torch.cat([corner, corner + size], -1)
    return Objects(corners * is_real[..., None], kinds * is_real, is_real)


def overlap(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return inter / (area - inter + 1e-7)


def brute_force(given, true, sample, top, alpha, beta):
    """TOOD section 3.2 with loops: point -> (object, target score)."""
    claims: dict[int, list[tuple[float, float, int]]] = {}
    for number in range(true.boxes.shape[1]):
        if not true.is_real[sample, number]:
            continue
        box, kind = true.boxes[sample, number].tolist(), int(true.classes[sample, number])
        inside = []
        for point, (x, y) in enumerate(given.points.tolist()):
            if box[0] < x < box[2] and box[1] < y < box[3]:
                u = overlap(given.boxes[sample, point].tolist(), box)
                s = given.logits[sample, point, kind].sigmoid().item()
                inside.append((s**alpha * u**beta, u, point))
        for aligned, u, point in sorted(inside, reverse=True)[:top]:
            claims.setdefault(point, []).append((u, aligned, number))
    won = {point: max(each) for point, each in claims.items()}
    found = {}
    for point, (_, aligned, number) in won.items():
        own = [(a, u) for u, a, n in won.values() if n == number]
        scale = max(u for _, u in own) / max(max(a for a, _ in own), 1e-12)
        found[point] = (number, aligned * scale)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("top", [1, 4, 10])
def test_every_point_is_as_loops_assign_it(seed, top):
    given, true = predictions(seed=seed), objects([4, 1, 0], seed=seed + 100)
    got = task_aligned(given, true, top=top, alpha=0.5, beta=6.0)
    for sample in range(3):
        wanted = brute_force(given, true, sample, top, 0.5, 6.0)
        positive = got.is_positive[sample].nonzero().flatten().tolist()
        assert sorted(wanted) == positive
        for point, (number, score) in wanted.items():
            assert got.boxes[sample, point].tolist() == true.boxes[sample, number].tolist()
            scores = torch.zeros(3)
            scores[true.classes[sample, number]] = score
            torch.testing.assert_close(got.scores[sample, point], scores, atol=1e-5, rtol=1e-3)
        rest = ~got.is_positive[sample]
        assert (got.scores[sample, rest] == 0).all()


def test_an_objects_best_target_score_is_its_best_overlap():
    true = objects([1])
    given = predictions(batch=1)
    given.boxes[:] = true.boxes[0, 0]
    got = task_aligned(given, true, top=10, alpha=0.5, beta=6.0)
    assert got.scores.max().item() == pytest.approx(1, abs=1e-4)
    assert 1 <= got.is_positive.sum() <= 10


def test_a_batch_without_objects_has_no_positives():
    got = task_aligned(predictions(), objects([0, 0, 0]), top=10, alpha=0.5, beta=6.0)
    assert not got.is_positive.any()
    assert got.scores.sum() == 0
    assert got.boxes.shape == (3, 80, 4)


def test_padding_changes_nothing():
    alone, padded = objects([2, 2]), objects([2, 2])
    more = torch.zeros(2, 5, 4)
    more[:, :2] = alone.boxes
    kinds = torch.zeros(2, 5, dtype=torch.int64)
    kinds[:, :2] = alone.classes
    padded = Objects(more, kinds, torch.arange(5) < torch.tensor([[2], [2]]))
    given = predictions(batch=2)
    first = task_aligned(given, alone, top=10, alpha=0.5, beta=6.0)
    second = task_aligned(given, padded, top=10, alpha=0.5, beta=6.0)
    assert torch.equal(first.scores, second.scores)
    assert torch.equal(first.is_positive, second.is_positive)


class Counted(TorchDispatchMode):
    """Counts the operations within a ``with`` block."""

    operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        return function(*args, **(kwargs or {}))


def test_more_images_and_objects_take_no_more_operations():
    def operations(batch, count):
        given, true = predictions(batch=batch), objects([count] * batch)
        with Counted() as counted:
            task_aligned(given, true, top=10, alpha=0.5, beta=6.0)
        return counted.operations

    assert operations(32, 9) == operations(1, 1) > 0
