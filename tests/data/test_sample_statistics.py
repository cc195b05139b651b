"""What is committed of the embedded samples is what measuring them gives."""

from pathlib import Path

import pytest

from runner.data import samples
from runner.insight.analysis import analyze
from runner.language.load import load
from runner.language.machine import Machine
from runner.statistics import Statistics

FOLDER = Path(samples.__file__).parent / "statistics"
# By which recipe each was measured, as in the Makefile.
RECIPES = {
    "pointer": "pointer_mse",
    "s4gan": "s4gan_corrected",
    "uav": "uav_baseline",
    "vesuvius": "vesuvius_corrected",
    "yolov8": "yolov8_original",
}


@pytest.mark.parametrize("scenario", sorted(RECIPES))
def test_committed_statistics_are_those_of_the_sample(scenario, tmp_path):
    committed = Statistics.model_validate_json((FOLDER / f"{scenario}.json").read_bytes())
    loaded = load(RECIPES[scenario])
    assert loaded.recipe.root == f"sample:{scenario}"
    found = analyze(loaded, Machine(cache=str(tmp_path), workers=0)).statistics
    # Sizes in bytes, which a fingerprint looks at, differ between versions of an encoder.
    assert found.model_copy(update={"fingerprint": committed.fingerprint}) == committed, (
        "make statistics"
    )


def test_makefile_measures_each_by_its_recipe():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    assert all(f"{scenario}:{recipe}" in makefile for scenario, recipe in RECIPES.items())
