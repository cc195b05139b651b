import numpy as np
import pytest
import torch
from torch import nn

from runner.contracts import Batch, DataSpec, Progress
from runner.data.points.marks import Mark
from runner.data.points.split import PointSpec
from runner.errors import RecipeError
from runner.nets.pointing.losses import PointLoss
from runner.nets.pointing.network import Pointed, pointer
from runner.registry import tasks
from runner.tasks.pointing import Pointing
from runner.tasks.pointing_panels import panel
from runner.tasks.pointing_rollout import count_by_pointing

NOW = Progress(step=0, epoch=0, fraction=0)
MARK = Mark(1, (255, 255, 0))


def batch_of(is_done=(0.0, 1.0), *, counted=(False, False), labelled=(True, True)):
    torch.manual_seed(0)
    size = len(is_done)
    return Batch(
        ids=tuple(f"i{number}" for number in range(size)),
        image=torch.randint(0, 200, (size, 3, 32, 32), dtype=torch.uint8),
        target={
            "point": torch.tensor([[0.5, -0.5]] * size) * (1 - torch.tensor(is_done)[:, None]),
            "done": torch.tensor(is_done),
            "source_px": torch.full((size, 2), 16.0),
            "objects": torch.full((size,), 3),
            "is_counted": torch.tensor(counted),
        },
        mean=torch.full((size, 3), 128.0),
        std=torch.full((size, 3), 64.0),
        is_labelled=torch.tensor(labelled),
    )


def task_of(*, when_done="masked", head="regression", model=None, weight=1.0, heatmap=0.0):
    torch.manual_seed(0)
    made = model or pointer(3, "test_resnet", None, "group", 4, head, 8)
    return Pointing(
        PointSpec(("object",), mark=MARK), made, PointLoss("mse"), loss_name="point",
        heatmap_weight=heatmap, done_weight=weight, done_positive_weight=1.0,
        point_when_done=when_done, count_limit=5,
    )  # fmt: skip


def test_a_place_is_trained_where_something_is_left():
    task, batch = task_of(), batch_of()
    before = task(batch, NOW)["point"]
    batch.target["point"][1] = 9.0
    assert torch.equal(task(batch, NOW)["point"], before)
    centred = task_of(when_done="centre")
    assert not torch.equal(centred(batch, NOW)["point"], before)


def test_the_done_term_is_weighted():
    batch = batch_of()
    light, heavy = (task_of(weight=weight)(batch, NOW)["done"] for weight in (1.0, 3.0))
    assert heavy.item() == pytest.approx(3 * light.item())


def test_the_heatmap_has_a_weighted_term_where_something_is_left():
    batch = batch_of()
    light, heavy = (task_of(head="heatmap", heatmap=w)(batch, NOW)["heatmap"] for w in (1.0, 3.0))
    assert heavy.item() == pytest.approx(3 * light.item())
    batch.target["point"][1] = 9.0
    assert task_of(head="heatmap", heatmap=1.0)(batch, NOW)["heatmap"].item() == light.item()
    assert task_of(head="heatmap", heatmap=1.0)(batch_of((1.0, 1.0)), NOW)["heatmap"].item() == 0


def test_a_net_without_a_heatmap_is_refused_where_its_heatmap_is_weighted():
    with pytest.raises(RecipeError, match="heatmap_weight: the model points without a heatmap"):
        task_of(head="regression", heatmap=1.0)(batch_of(), NOW)


@pytest.mark.parametrize("labelled", [(True, True), (False, False)])
def test_a_batch_with_nothing_to_point_at_has_a_finite_loss_and_gradient(labelled):
    task = task_of()
    terms = task(batch_of((1.0, 1.0), labelled=labelled), NOW)
    sum(terms.values()).backward()
    assert terms["point"].item() == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in task.parameters())
    assert task.figures()["mse"].item() == 0


@pytest.mark.parametrize(
    ("head", "names"),
    [("regression", {"x_head", "y_head", "done_head"}), ("heatmap", {"heatmap_head", "done_head"})],
)
def test_each_heads_gradient_and_the_squared_error_are_shown(head, names):
    task, batch = task_of(head=head), batch_of((0.0, 0.0))
    point = task.outputs(batch).point
    task._seen_mse.clear()
    sum(task(batch, NOW).values()).backward()
    found = task.figures()
    assert set(found) == {"mse"} | {f"grad_norm/{name}" for name in names}
    wanted = (point - batch.target["point"]).square().sum(1).mean()
    assert found["mse"].item() == pytest.approx(wanted.item(), rel=1e-4)
    own = task.model.head.done_head
    gradient = torch.cat([p.grad.flatten() for p in own.parameters()])
    assert found["grad_norm/done_head"].item() == pytest.approx(gradient.norm().item(), rel=1e-5)
    assert "mse" not in task.figures()


class Sighted(nn.Module):
    """Points at the brightest blue pixel that is left, and is done where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, image):
        self.seen.append(len(image))
        blue = image[:, 2].flatten(1)
        best, place = blue.max(1)
        edge = image.shape[-1]
        x, y = place % edge, place // edge
        point = 2 * (torch.stack([x, y], 1).float() + 0.5) / edge - 1
        return Pointed(point, torch.where(best > 0, -9.0, 9.0))


def blue_dots(*counts):
    batch = batch_of((0.0,) * len(counts))
    image = torch.zeros_like(batch.image)
    for number, count in enumerate(counts):
        for dot in range(count):
            image[number, 2, 3 + 4 * dot, 5 + 3 * dot] = 255 - dot
    return image, batch


def test_roll_out_counts_what_is_marked_one_after_another():
    from dataclasses import replace

    image, batch = blue_dots(3, 0, 2, 4)
    batch = replace(batch, image=image, mean=torch.full((4, 3), 0.5), std=torch.ones(4, 3))
    task = task_of(model=Sighted())
    wanted = torch.tensor([True, True, False, True])
    kept = image.clone()
    counted = count_by_pointing(task._pointed, batch, wanted, MARK, 9)
    assert counted.tolist() == [3, 0, -1, 4]
    assert task.model.seen == [3, 2, 2, 2, 1], "images that are done are not looked at again"
    assert torch.equal(batch.image, kept), "the batch is as it was"


def test_roll_out_ends_at_its_limit():
    from dataclasses import replace

    image, batch = blue_dots(5)
    batch = replace(batch, image=image, mean=torch.full((1, 3), 0.5), std=torch.ones(1, 3))
    task = task_of(model=Sighted())
    assert count_by_pointing(task._pointed, batch, torch.tensor([True]), MARK, 2).tolist() == [2]


def test_only_what_asks_for_it_is_counted_and_never_while_training():
    task = task_of().eval()
    with torch.no_grad():
        assert task.outputs(batch_of()).count is None
        _, outputs = task.assess(batch_of(counted=(False, True), labelled=(True, False)), NOW)
    assert outputs.count[0] == -1 and 0 <= outputs.count[1] <= 5
    assert task.outputs(batch_of(counted=(True, True))).count is None


def test_an_assessment_is_losses_and_outputs():
    task, batch = task_of().eval(), batch_of()
    with torch.no_grad():
        losses, outputs = task.assess(batch, NOW)
        assert torch.equal(losses["point"], task.losses(batch, NOW)["point"])
        assert torch.equal(outputs.point, task.outputs(batch).point)


def colours(picture):
    return {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}


def test_panels_show_truth_green_prediction_red_and_the_error_yellow():
    image, target = np.full((3, 64, 64), 90, np.uint8), np.array([0.5, 0.5])
    source_px, point = np.array([32.0, 32.0]), np.array([-0.5, -0.5])
    there = panel(image, point, 0.1, target, 0.0, source_px)
    assert there.shape == (256 + 34, 256, 3) and there.dtype == np.uint8
    assert {(0, 200, 0), (230, 30, 30), (255, 220, 0)} <= colours(there[:256])
    done = panel(image, point, 0.9, target, 1.0, source_px)
    assert not {(0, 200, 0), (255, 220, 0)} & colours(done[:256])
    assert (255, 220, 0) in colours(there[256:]) and (255, 220, 0) not in colours(done[256:])


@pytest.mark.parametrize("point", [[np.nan, 0.0], [1e30, -1e30], [np.inf, 0.0]])
def test_a_panel_survives_any_prediction(point):
    image = np.zeros((3, 300, 500), np.uint8)
    with np.errstate(invalid="ignore", over="ignore"):
        drawn = panel(image, np.array(point), 0.5, np.zeros(2), 0.0, np.ones(2))
    assert drawn.dtype == np.uint8
    assert drawn.any()


def test_a_task_gives_a_panel_for_each_sample():
    task, batch = task_of().eval(), batch_of()
    with torch.no_grad():
        assert len(task.panels(batch, task.outputs(batch))) == 2


def test_data_without_points_are_refused():
    part = tasks.parse(
        {"name": "pointing", "params": {"model": {"name": "pointer"}, "loss": {"name": "mse"}}}
    )
    with pytest.raises(RecipeError, match="the data are no points"):
        part.build(DataSpec(("a",)))
