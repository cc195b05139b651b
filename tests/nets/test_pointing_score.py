import pytest
import torch

from runner.contracts import Batch
from runner.nets.pointing.score import PointingScore, auroc
from runner.task import Outputs


def looked(point, done_logit, target, is_done, *, count=None, objects=None, labelled=None):
    size = len(point)
    batch = Batch(
        ids=tuple(map(str, range(size))),
        image=torch.zeros(size, 3, 4, 4, dtype=torch.uint8),
        target={
            "point": torch.tensor(target),
            "done": torch.tensor(is_done),
            "source_px": torch.tensor([[100.0, 50.0]] * size),
            "objects": torch.tensor(objects or [1] * size),
        },
        mean=torch.zeros(size, 3),
        std=torch.ones(size, 3),
        is_labelled=torch.tensor(labelled or [True] * size),
    )
    outputs = Outputs(
        point=torch.tensor(point), done=torch.tensor(done_logit),
        count=None if count is None else torch.tensor(count),
    )  # fmt: skip
    return outputs, batch


def figures(*batches):
    metric = PointingScore([5.0, 50.0])
    for each in batches:
        metric.update(*each)
    return metric.compute([metric.state()])


def test_errors_are_in_pixels_of_the_image_where_there_is_something_to_point_at():
    found = figures(
        looked(
            [[0.03, 0.08], [0.5, 0.0], [9.0, 9.0]], [-1.0, -1.0, 2.0],
            [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [0.0, 0.0, 1.0],
        )
    )  # fmt: skip
    assert found["error_px/mean"] == pytest.approx((5 + 50) / 2)
    assert found["error_px/median"] == pytest.approx(5)
    assert (found["pck@50"], found["mse"]) == pytest.approx((1.0, (0.0073 + 0.25) / 2))


def test_the_done_signal_is_scored_by_hand():
    point = [[0.0, 0.0]] * 4
    found = figures(looked(point, [2.0, -2.0, 1.0, -3.0], point, [1.0, 1.0, 0.0, 0.0]))
    assert found["done/recall"] == 0.5 and found["done/false_positive"] == 0.5
    assert found["done/f1"] == 0.5 and found["done/share"] == 0.5
    assert found["done/auroc"] == 0.75
    assert found["done/largest"] == pytest.approx(0.8808, abs=1e-4)


def test_ties_count_half_and_one_kind_alone_has_no_area():
    assert auroc(torch.tensor([0.3, 0.3]), torch.tensor([True, False])) == 0.5
    assert "done/auroc" not in figures(looked([[0.0, 0.0]], [0.0], [[0.0, 0.0]], [0.0]))


def test_the_area_is_the_share_of_pairs_in_order():
    torch.manual_seed(0)
    score, positive = torch.randint(0, 9, (60,)) / 9, torch.rand(60) < 0.3
    pairs = score[positive][:, None] - score[~positive][None]
    wanted = ((pairs > 0).double() + 0.5 * (pairs == 0)).mean().item()
    assert auroc(score, positive) == pytest.approx(wanted)


def test_counted_images_are_scored_by_their_count_alone():
    found = figures(
        looked(
            [[0.0, 0.0], [0.9, 0.9], [0.9, 0.9]], [-1.0, 5.0, 5.0], [[0.0, 0.0]] * 3, [0.0] * 3,
            count=[-1, 7, 4], objects=[99, 10, 4], labelled=[True, False, False],
        )
    )  # fmt: skip
    assert found["count_mae"] == 1.5 and found["count_bias"] == -1.5
    assert found["count_mae_of_mean"] == 3.0
    assert found["error_px/median"] == 0 and found["done/false_positive"] == 0


def test_processes_add_up_and_nothing_seen_gives_nothing():
    first = looked([[0.1, 0.0]], [-1.0], [[0.0, 0.0]], [0.0])
    second = looked([[0.3, 0.0]], [3.0], [[0.0, 0.0]], [1.0])
    parts = []
    for each in (first, second):
        metric = PointingScore([5.0])
        metric.update(*each)
        parts.append(metric.state())
    whole = PointingScore([5.0])
    for each in (first, second):
        whole.update(*each)
    assert whole.compute(parts) == whole.compute([whole.state()])
    assert PointingScore([5.0]).compute([PointingScore([5.0]).state()]) == {}


def test_figure_that_does_not_exist_says_what_the_split_lacks():
    metric = PointingScore([5.0])
    states = [metric.state()]
    assert "counted_images" in metric.why_absent("count_mae", states)
    assert "in which an object is left" in metric.why_absent("pck@5", states)
    assert "in which all is done" in metric.why_absent("done/recall", states)
    assert metric.why_absent("miou", states) is None
