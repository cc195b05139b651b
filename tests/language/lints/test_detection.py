"""Lints of detectors."""

import pytest


def score(threshold: str) -> str:
    params = "{score_threshold: " + threshold + "}"
    return f"extends: yolov8_negatives\nmetrics: [{{name: average_precision, params: {params}}}]\n"


def test_threshold_for_display_under_map_is_named_with_its_value(lints):
    said = lints(score("0.25"))["score_threshold_for_map"]
    assert said == "metrics.0.params.score_threshold: boxes that score below 0.25 do not count"


def test_threshold_up_to_a_hundredth_is_left_alone(lints):
    assert "score_threshold_for_map" not in lints(score("0.01"))
    assert "score_threshold_for_map" in lints(score("0.011"))
    assert "score_threshold_for_map" not in lints("yolov8_corrected")


def test_score_below_which_nothing_is_predicted_is_a_threshold_too(lints):
    said = lints("extends: detection\ntask: {params: {min_score: 0.3}}\n")
    assert said["score_threshold_for_map"].startswith("task.params.min_score: ")


def test_loss_of_matches_alone_is_named(lints):
    assert "task.params.loss.params.negatives" in lints("yolov8_original")["no_negatives"]
    assert "no_negatives" not in lints("yolov8_negatives")
    assert "no_negatives" not in lints("yolov8_corrected")  # a loss without the choice


def test_lack_of_suppression_is_named(lints):
    assert "task.params.nms_iou" in lints("yolov8_fixed")["no_suppression"]
    assert "no_suppression" not in lints("yolov8_negatives")
    assert "no_suppression" not in lints(
        "extends: yolov8_negatives\ntask: {params: {nms_iou: 1.0}}\n"
    )


@pytest.mark.parametrize(("clamp", "is_named"), [(4.0, True), (6.0, True), (6.1, False)])
def test_clamp_within_reach_is_named(lints, clamp, is_named):
    head = f"{{params: {{head: {{params: {{size_clamp: {clamp}}}}}}}}}"
    said = lints(f"extends: yolov8_negatives\ntask: {head}\n")
    assert ("hard_clamp" in said) == is_named


def test_clamp_is_told_in_strides(lints):
    assert "exponent of 4, 54.6 strides" in lints("yolov8_fixed")["hard_clamp"]
    assert "hard_clamp" not in lints("yolov8_original")  # exp(10) is of no box


def test_centre_that_is_off_is_told_in_cells(lints):
    assert "0.5 to 1.5 cells" in lints("yolov8_original")["biased_centre"]
    assert "biased_centre" not in lints("yolov8_negatives")
