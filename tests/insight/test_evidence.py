"""Evidence is read from run folders, and a table says whether each recipe keeps its word."""

import json
from pathlib import Path

import pytest

from runner.errors import RecipeError
from runner.insight.evidence import Trial, metrics_of, read_shown, rows, versions

TRIAL = Trial("uav_fixed", 0, "sample:uav:7")


@pytest.fixture
def folder(tmp_path):
    row = {"metric": "val/iou/background", "at": "end", "wanted": ">= 0.5", "got": 0.6, "met": True}
    (tmp_path / "run.json").write_text(json.dumps({"expectations": [row]}))
    (tmp_path / "metrics.csv").write_text(
        "step,epoch,val/iou/background,val/miou\n1,0.5,0.1,\n2,1.0,0.6,0.7\n"
    )
    events = [
        {"type": "finding", "level": "critical", "step": 1, "message": "class 0 is dead"},
        {"type": "finding", "level": "good", "step": 2, "message": "class 0 is well"},
        {"type": "finished", "step": 2, "time_s": 61.4},
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(each) + "\n" for each in events))
    return tmp_path


def test_last_evaluation_critical_findings_and_time_are_read(folder):
    shown = read_shown(TRIAL, folder, 0)
    assert shown.values["val/iou/background"] == 0.6
    assert shown.findings == ["step 1: class 0 is dead"]
    assert shown.seconds == 61.4


def test_table_has_a_row_for_each_trial(folder):
    table = rows([read_shown(TRIAL, folder, 0)], ["val/iou/background", "val/nothing"])
    assert table[1] == [
        *("uav_fixed", "0", "uav:7", "0.600", "-"),
        *("val/iou/background >= 0.5", "yes", "61"),
    ]


def test_expectation_that_is_not_met_is_shouted(folder):
    record = json.loads((folder / "run.json").read_text())
    record["expectations"][0]["met"] = False
    (folder / "run.json").write_text(json.dumps(record))
    assert rows([read_shown(TRIAL, folder, 4)], [])[1][-2] == "NO"


def test_training_that_broke_is_an_error_with_its_complaint(tmp_path):
    with pytest.raises(RecipeError, match="exit code 7: disk full"):
        read_shown(TRIAL, Path(tmp_path), 7, "disk full")


def test_versions_of_a_scenario_come_bases_first():
    assert versions("uav") == ["uav_baseline", "uav_fixed", "uav_corrected"]
    assert versions("vesuvius") == [
        "vesuvius_baseline",
        "vesuvius_fixed",
        "vesuvius_as_run",
        "vesuvius_corrected",
    ]
    assert metrics_of(["uav_fixed"]) == ["val/iou/background"]
    with pytest.raises(RecipeError, match="no recipe of this scenario"):
        versions("nothing")
