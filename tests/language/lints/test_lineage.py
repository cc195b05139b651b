"""Lints of what a recipe changes in its base."""

import pytest


@pytest.mark.parametrize(
    ("batch", "is_named"), [(8, False), (9, True), (7, True), (10, False), (6, False)]
)
def test_batch_that_hardly_changes_is_named(lints, batch, is_named):
    said = lints(f"extends: segmentation\ntrain: {{batch_size: {batch}}}\n")
    assert ("negligible_batch_change" in said) == is_named


def test_effective_batch_is_what_counts(lints):
    said = lints("uav_fixed")["negligible_batch_change"]
    assert said == "train.batch_size: the effective batch goes from 16 to 18 (+12%)"
    assert "negligible_batch_change" not in lints("uav_corrected")
    assert "negligible_batch_change" not in lints("uav_baseline")  # a root has no base


def test_loss_that_is_another_one_cannot_be_compared(lints):
    said = lints("vesuvius_fixed")["incomparable_monitor"]
    assert "task.params.loss.params.terms.dice.weight and 6 more differ" in said
    assert "incomparable_monitor" in lints("pointer_fixed")


def test_same_loss_or_another_monitor_is_left_alone(lints):
    assert "incomparable_monitor" not in lints("extends: vesuvius_fixed\ntrain: {epochs: 3}\n")
    assert "incomparable_monitor" not in lints("vesuvius_corrected")
    assert "incomparable_monitor" not in lints("uav_fixed")
