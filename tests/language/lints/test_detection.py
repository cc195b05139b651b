"""Lints of detectors."""


def score(threshold: str) -> str:
    params = "{score_threshold: " + threshold + "}"
    return f"extends: yolov8_negatives\nmetrics: [{{name: average_precision, params: {params}}}]\n"


def test_threshold_for_display_under_map_is_named_with_its_value(lints):
    said = lints(score("0.25"))["score_threshold_for_map"]
    assert said == ("metrics.0.params.score_threshold: boxes that score below 0.25 do not count")


def test_threshold_up_to_a_hundredth_is_left_alone(lints):
    assert "score_threshold_for_map" not in lints(score("0.01"))
    assert "score_threshold_for_map" in lints(score("0.011"))
    assert "score_threshold_for_map" not in lints("yolov8_corrected")
