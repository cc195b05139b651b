"""COCO average precision of predicted boxes, with counts of what was predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray
from torch import Tensor

from runner.contracts import Batch, Ragged
from runner.task import Boxes, Outputs

IOU_50, IOU_75 = 0, 5
"""Places of these thresholds in COCO's 0.50, 0.55, ... 0.95."""

ALL_AREAS, MOST_BOXES = 0, -1
"""Places of COCO's areas and limits: boxes of every size, up to 100 an image."""

Image = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Truth (N, 5): corners, class. Prediction (M, 6): corners, class, score."""


class AveragePrecision:
    """mAP at a score threshold and at others beside it, as pycocotools computes it; a Metric.

    Boxes are compared on the image as the network saw it: IoU is the same there as on the
    original, because letterboxing scales both axes alike.
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        score_threshold: float,
        also_at: Sequence[float],
        count_from: float,
    ) -> None:
        """Start empty.

        Args:
            classes: names, in the order of their indices.
            score_threshold: predictions below it do not count.
            also_at: thresholds at which mAP50 is computed too, as ``map50@<threshold>``.
            count_from: boxes are counted from this score on.
        """
        self._classes = tuple(classes)
        self._threshold = score_threshold
        self._also_at = tuple(also_at)
        self._count_from = count_from
        self._seen: list[tuple[Sequence[Boxes], Tensor, tuple[Ragged, Tensor]]] = []

    def update(self, outputs: Outputs, batch: Batch) -> None:
        """Keep what a batch's labelled samples hold and what was predicted for them."""
        assert outputs.boxes is not None, "this metric is of a detection's boxes"
        assert outputs.scores is not None, "a detection tells its scores before suppression"
        true = batch.target["boxes"], batch.is_labelled
        self._seen.append((outputs.boxes, outputs.scores >= self._count_from, true))

    def state(self) -> Any:
        """Return each labelled image's tables, and its counts of places with a box and in all."""
        images: list[Image] = []
        places: list[tuple[int, int]] = []
        for boxes, is_counted, (rows, is_labelled) in self._seen:
            truths = rows.values.double().cpu().numpy()
            ends = rows.counts.cumsum(0).tolist()
            above, labelled = is_counted.sum(1).tolist(), is_labelled.tolist()
            for number, found in enumerate(boxes):
                if labelled[number]:
                    truth = truths[ends[number - 1] if number else 0 : ends[number]]
                    images.append((truth, _table(found)))
                    places.append((above[number], is_counted.shape[1]))
        return images, places

    def compute(self, states: Sequence[Any]) -> dict[str, float]:
        """Return mAP, AP by class and counts over the images of all processes.

        A class that no image holds has no AP and does not enter the means.
        """
        images = [image for state in states for image in state[0]]
        places = [place for state in states for place in state[1]]
        if not images:
            return {}
        table = precisions(images, len(self._classes), self._threshold)
        found = {
            "map": _mean(table),
            "map50": _mean(table[IOU_50]),
            "map75": _mean(table[IOU_75]),
        }
        for index, name in enumerate(self._classes):
            if (table[:, index] > -1).any():
                found[f"ap/{name}"] = _mean(table[:, index])
                found[f"ap50/{name}"] = _mean(table[IOU_50, index])
        for threshold in self._also_at:
            at = precisions(images, len(self._classes), threshold)
            found[f"map50@{threshold:g}"] = _mean(at[IOU_50])
        return found | self._counts(images, places)

    def why_absent(self, name: str, states: Sequence[Any]) -> str | None:
        """Return what the split lacks for a figure; None for one of no class of its own."""
        if not any(state[0] for state in states):
            return "no image of the validation split is labelled"
        kind, _, own = name.partition("/")
        is_of_class = kind in ("ap", "ap50") and own in self._classes
        return f"no box of the validation split is {own}" if is_of_class else None

    def _counts(
        self, images: Sequence[Image], places: Sequence[tuple[int, int]]
    ) -> dict[str, float]:
        """Return how many boxes there were, and of which classes."""
        kept = np.concatenate([predicted for _, predicted in images])
        kept = kept[kept[:, 5] >= self._count_from]
        above, everywhere = np.sum(places, 0)
        counts = {
            "boxes_per_image": float(above) / len(images),
            "boxes_per_image_kept": len(kept) / len(images),
            "boxes_per_image_true": sum(len(truth) for truth, _ in images) / len(images),
            "places_with_box": float(above / everywhere),
        }
        for index, name in enumerate(self._classes):
            share = float((kept[:, 4] == index).mean()) if len(kept) else 0.0
            counts[f"predicted_share/{name}"] = share
        return counts


def precisions(images: Sequence[Image], classes: int, min_score: float) -> NDArray[np.float64]:
    """Return the mean precision over COCO's 101 recalls, by IoU threshold and class.

    Args:
        images: truths and predictions.
        classes: how many.
        min_score: predictions below it are left out.
    Returns: (10, classes) in [0, 1]; -1 for a class that no image holds.
    """
    truth, predicted = coco_tables(images, classes, min_score)
    if not len(predicted):
        return _without_predictions(images, classes)
    reference = COCO(truth)
    judged = COCOeval_faster(
        reference, reference.loadRes(predicted), "bbox", print_function=_silent
    )
    judged.evaluate()
    judged.accumulate()
    # (IoU thresholds, recalls, classes, areas, limits)
    table: NDArray[np.float64] = judged.eval["precision"][:, :, :, ALL_AREAS, MOST_BOXES]
    return np.asarray(table.mean(1))


def coco_tables(
    images: Sequence[Image], classes: int, min_score: float
) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Return truths as a COCO annotation file holds them, and predictions as rows.

    Returns: the file's content; (N, 7) image id, x, y, width, height, score, category id.
    """
    annotations: list[dict[str, Any]] = []
    rows = []
    for image, (truth, predicted) in enumerate(images, start=1):
        for x1, y1, x2, y2, kind in truth.tolist():
            box = [x1, y1, x2 - x1, y2 - y1]
            annotations.append({
                "id": len(annotations) + 1, "image_id": image, "category_id": int(kind) + 1,
                "bbox": box, "area": box[2] * box[3], "iscrowd": 0,
            })  # fmt: skip
        kept = predicted[predicted[:, 5] >= min_score]
        ids = np.full((len(kept), 1), image)
        sizes = kept[:, 2:4] - kept[:, :2]
        rows.append(np.hstack([ids, kept[:, :2], sizes, kept[:, 5:], kept[:, 4:5] + 1]))
    content = {
        "images": [{"id": number + 1} for number in range(len(images))],
        "categories": [{"id": number + 1, "name": str(number)} for number in range(classes)],
        "annotations": annotations,
    }
    return content, np.concatenate(rows)


def _without_predictions(images: Sequence[Image], classes: int) -> NDArray[np.float64]:
    kinds = {int(kind) for truth, _ in images for kind in truth[:, 4]}
    column = [0.0 if index in kinds else -1.0 for index in range(classes)]
    return np.tile(np.asarray(column), (10, 1))


def _table(found: Boxes) -> NDArray[np.float64]:
    """Return one image's predictions as rows of corners, class and score."""
    columns = (found.corners, found.classes[:, None], found.scores[:, None])
    return torch.cat([each.double() for each in columns], 1).cpu().numpy()


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean of the classes that there are; 0 where there is none."""
    there = values[values > -1]
    return float(there.mean()) if there.size else 0.0


def _silent(*_: object, **__: Mapping[str, object]) -> None:
    """Take the place of the evaluator's own printing."""
