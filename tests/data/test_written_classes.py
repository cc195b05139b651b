"""A recipe may write its class mapping out, instead of naming a file."""

import numpy as np
import pytest

from runner.data.segmentation.classes import read_mapping, written
from runner.errors import RecipeError


def test_written_mapping_equals_the_same_mapping_file(tmp_path):
    file = tmp_path / "m.csv"
    file.write_text(
        "source_id,source_name,target_id,target_name\n0,void,0,a\n7,x,1,b\n3,y,1,b\n9,z,255,ignore\n"
    )
    assert written({"a": [0], "b": [7, 3], "ignore": [9]}, "index") == read_mapping(file, "index")


def test_colours_are_exact():
    classes = written(
        {"a": [(230, 25, 75)], "b": [(0, 130, 200)], "ignore": [(255, 0, 255)]}, "rgb"
    )
    assert classes.classes == ("a", "b")
    assert dict(zip(classes.sources, classes.targets, strict=True)) == {
        0xE6194B: 0,
        0x0082C8: 1,
        0xFF00FF: 255,
    }


@pytest.mark.parametrize(
    ("sources", "kind", "message"),
    [
        ({"a": [1], "b": [1]}, "index", "data.params.classes.b: 1 stands twice"),
        ({"a": [(1, 2, 3)]}, "index", "is not an id"),
        ({"a": [1]}, "rgb", "is not a colour"),
        ({"ignore": [1]}, "index", "names no class"),
    ],
)
def test_contradiction_is_refused(sources, kind, message):
    with pytest.raises(RecipeError, match=message):
        written(sources, kind)


def test_recipe_with_written_classes_reads_the_sample(tmp_path):
    from runner.engine.reading import read_data
    from runner.language.load import load
    from runner.language.machine import Machine

    data = read_data(load("uav_baseline").recipe, Machine(cache=str(tmp_path)))
    assert data.spec.classes == ("background", "safe", "caution", "danger")
    shares = np.array(data.spec.measured["class_pixels"])
    assert 100 * shares / shares.sum() == pytest.approx([0.28, 63.2, 18.8, 17.7], abs=0.05)
