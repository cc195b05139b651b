"""Lints of pointing."""

import json
from pathlib import Path

from runner.language.lints.table import concerns
from runner.language.load import load

MIXED = "extends: points\nsampler: {params: {done_mode: mixed, done_share: null}}\n"


def measured(objects: float) -> None:
    """What analyze would have left of a folder of points."""
    folder = Path("runs/analysis/mine")
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        "schema": 1, "dataset": "points", "root": "here", "fingerprint": "x",
        "items": {"train": 2}, "unit": "points", "classes": {"object": 2 * objects},
        "figures": {"objects_per_image/mean": objects},
    }  # fmt: skip
    (folder / "analysis.json").write_text(json.dumps(known))


def test_step_of_the_hinge_is_told_in_figures_and_pixels(lints):
    said = lints("pointer_hinge")["discontinuous_loss"]
    assert "0.3 (57.6 px) the loss jumps from 0.09 to 0.18" in said
    assert "its gradient falls from 0.6 to 0.3" in said
    assert (
        "0.1 (19.2 px) the loss jumps from 0.01 to 0.02"
        in lints("pointer_fixed")["discontinuous_loss"]
    )


def test_losses_without_a_step_are_left_alone(lints):
    assert "discontinuous_loss" not in lints("pointer_mse")
    assert "discontinuous_loss" not in lints("pointer_corrected")


def test_rare_done_is_told_and_a_weight_on_both_answers_does_not_cure_it(lints):
    said = lints("pointer_hinge")["rarely_done"]
    assert said.startswith("sampler.params.done_mode: of 21 objects")
    assert "about 4.5% of the draws" in said
    assert "rarely_done" not in lints("pointer_corrected")


def test_weight_on_done_alone_cures_it(lints):
    weight = "task: {params: {done_positive_weight: 21.0}}\n"
    assert "rarely_done" in lints(MIXED)
    assert "rarely_done" not in lints(MIXED + weight)


def test_done_is_judged_by_the_data_at_hand(lints):
    own = MIXED + "data: {params: {root: here}}\n"
    assert "rarely_done" not in lints(own), "nothing was measured"
    measured(8.0)
    assert "rarely_done" not in lints(own)
    measured(10.0)
    assert "rarely_done" in lints(own)


def test_place_trained_where_none_is_left_is_named(lints):
    assert "task.params.point_when_done" in lints("pointer_mse")["point_trained_when_done"]
    assert "point_trained_when_done" not in lints("pointer_corrected")


def test_a_height_of_rows_without_rows_is_told_of_the_file_that_writes_it(lints):
    def said(**params: object) -> str:
        written = ", ".join(f"{name}: {value}" for name, value in params.items())
        draft = f"extends: pointer_mse\ndata: {{params: {{{written}}}}}\n"
        return lints(draft).get("row_height_without_rows", "")

    assert said(order="as_given", row_px=30.0) == (
        "data.params.row_px: 30 px, which order: as_given does not read"
    )
    assert said(order="rows", row_px=30.0) == ""
    assert said(order="top_to_bottom") == "", (
        "its base's height of 50 px is no child's to take back"
    )


def test_a_height_of_rows_that_is_set_is_told(tmp_path):
    draft = tmp_path / "other.yaml"
    draft.write_text("extends: points\ndata: {params: {order: as_given}}\n")
    given = load(str(draft), sets=["data.params.row_px=9"])
    other = load(str(draft), sets=["data.params.flip=0.1"])
    told = [[each.lint for each in concerns(each, None)] for each in (given, other)]
    assert ["row_height_without_rows" in names for names in told] == [True, False]
