import torch

from runner.nets.detection.box_geometry import iou
from runner.nets.detection.box_suppression import Suppression
from runner.nets.detection.grid import GridPredictions


def predictions(boxes, logits):
    return GridPredictions(
        torch.tensor(boxes)[None].float(),
        torch.tensor(logits)[None].float(),
        torch.zeros(len(boxes), 2),
        torch.ones(len(boxes)),
    )


TWINS = [[0, 0, 10, 10], [1, 0, 11, 10], [40, 40, 50, 50], [0, 0, 10, 10]]
LOGITS = [[2.0, -4], [3.0, -4], [0.0, -4], [-4, 1.0]]


def kept(**changed):
    values = {"min_score": 0.001, "max_iou": 0.6, "candidates": 100, "max_boxes": 100}
    [boxes], scores = Suppression(**{**values, **changed})(predictions(TWINS, LOGITS))
    return boxes, scores


def test_of_two_boxes_of_one_class_the_lower_score_is_dropped():
    boxes, scores = kept()
    assert boxes.corners.tolist() == [TWINS[1], TWINS[3], TWINS[2]]
    assert boxes.classes.tolist() == [0, 1, 0]
    assert boxes.scores.tolist() == sorted(boxes.scores.tolist(), reverse=True)
    assert scores.shape == (1, 4)


def test_without_suppression_all_are_kept():
    assert len(kept(max_iou=None)[0].scores) == 4


def test_thresholds_and_limits_hold():
    boxes, scores = kept(min_score=0.6)
    assert boxes.corners.tolist() == [TWINS[1], TWINS[3]]
    assert len(scores[0]) == 4, "places are told before anything is dropped"
    assert len(kept(max_boxes=1)[0].scores) == 1
    assert kept(candidates=2)[0].corners.tolist() == [TWINS[1]]
    assert len(kept(min_score=0.999)[0].scores) == 0


def test_it_is_the_greedy_suppression_of_loops():
    torch.manual_seed(0)
    corner = 40 * torch.rand(60, 2)
    boxes = torch.cat([corner, corner + 5 + 20 * torch.rand(60, 2)], 1)
    logits = torch.randn(60, 3)
    given = GridPredictions(boxes[None], logits[None], corner, torch.ones(60))
    [found], _ = Suppression(0.0, 0.5, 60, 60)(given)
    scores, classes = logits.sigmoid().max(1)
    wanted: list[int] = []
    for place in scores.argsort(descending=True).tolist():
        rivals = [each for each in wanted if classes[each] == classes[place]]
        if all(iou(boxes[place], boxes[each]) <= 0.5 for each in rivals):
            wanted.append(place)
    assert found.corners.tolist() == boxes[wanted].tolist()
    assert 0 < len(wanted) < 60
