import subprocess
import sys

import pytest

from runner.contracts import DataSpec, Measured
from runner.errors import DataError, RecipeError
from runner.nets.class_weights import balanced_weights, class_groups, class_weights, penalty_matrix

CLASSES = ("background", "safe", "caution", "danger")


def spec_with(*class_pixels):
    values = {"class_pixels": class_pixels} if class_pixels else {}
    return DataSpec(CLASSES, measured=Measured(values=values))


def test_balanced_weights_are_those_of_the_published_data():
    shares = (0.0027858, 0.6313, 0.1883, 0.1772)
    assert balanced_weights(shares) == pytest.approx((89.74, 0.396, 1.328, 1.411), rel=1e-3)


def test_equal_counts_weigh_one():
    assert balanced_weights((7, 7, 7)) == (1, 1, 1)


def test_balanced_weights_give_every_class_the_same_sum():
    counts = (3, 50, 11)
    products = [w * n for w, n in zip(balanced_weights(counts), counts, strict=True)]
    assert products == pytest.approx([64 / 3] * 3)


def test_a_count_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"\[1\]"):
        balanced_weights((3, 0))


def test_from_data_balances_the_measured_pixels():
    assert class_weights("from_data", spec_with(1, 1, 1, 1), key="alpha") == (1, 1, 1, 1)


def test_every_class_without_pixels_is_named_at_once():
    with pytest.raises(DataError) as caught:
        class_weights("from_data", spec_with(0, 5, 0, 5), key="alpha")
    assert ["background" in p.message or "caution" in p.message for p in caught.value.problems] == [
        True,
        True,
    ]


def test_from_data_needs_measured_pixels():
    with pytest.raises(RecipeError, match="write the weights as a list"):
        class_weights("from_data", spec_with(), key="alpha")


def test_names_and_list_give_the_same_weights():
    named = {"danger": 3, "safe": 2, "caution": 1.5, "background": 1}
    assert class_weights(named, spec_with(), key="w") == (1, 2, 1.5, 3)
    assert class_weights([1, 2, 1.5, 3], spec_with(), key="w") == (1, 2, 1.5, 3)


def test_a_list_of_another_length_is_refused():
    with pytest.raises(RecipeError, match="3 weights for 4 classes") as caught:
        class_weights([1, 2, 3], spec_with(), key="alpha")
    assert caught.value.problems[0].key == "alpha"


def test_missing_and_unknown_names_are_reported_together():
    with pytest.raises(RecipeError) as caught:
        class_weights({"background": 1, "safe": 1, "dangr": 1}, spec_with(), key="w")
    text = str(caught.value)
    assert "did you mean 'danger'" in text
    assert "w: caution, danger: no weight; add it for each class" in text


def test_penalties_are_one_where_nothing_is_written():
    matrix = penalty_matrix({"danger": {"safe": 5}}, spec_with(), key="penalties")
    assert matrix[3] == [1, 5, 1, 1]
    assert matrix[:3] == [[1, 1, 1, 1]] * 3


def test_unknown_names_of_both_sides_of_a_penalty_are_reported():
    with pytest.raises(RecipeError) as caught:
        penalty_matrix({"danger": {"saef": 5}, "dagner": {}}, spec_with(), key="penalties")
    keys = [problem.key for problem in caught.value.problems]
    assert keys == ["penalties.danger.saef", "penalties.dagner"]


def test_pairs_of_names_become_pairs_of_indices():
    pairs = class_groups({"danger_to_safe": ("danger", "safe")}, spec_with(), key="rates")
    assert pairs == {"danger_to_safe": (3, 1)}


def test_the_formula_needs_no_torch():
    code = "import sys, runner.nets.class_weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
