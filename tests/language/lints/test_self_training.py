"""Lints of self-training."""

BELIEVING = "extends: self_training\ntask: {params: {thresholds: 0.0}}\n"
OWN = "extends: self_training\ntask: {params: {teacher_decay: null}}\n"


def test_a_threshold_of_nought_is_told_of_its_class_or_of_all(lints):
    said = lints("s4gan_v3")["believes_everything"]
    assert said.startswith("task.params.thresholds.background: every prediction of background")
    assert lints(BELIEVING)["believes_everything"].startswith("task.params.thresholds: every")
    assert "believes_everything" not in lints("s4gan_corrected")


def test_own_labels_of_the_same_view_confirm_themselves(lints):
    assert "confirms_itself" in lints("s4gan_phase3")
    assert "confirms_itself" not in lints(OWN), "the student sees the strong view"
    assert "confirms_itself" in lints(OWN + "data: {params: {strong: []}}\n")


def test_labels_that_weigh_nothing_are_left_alone(lints):
    assert not {"believes_everything", "confirms_itself"} & lints("s4gan_supervised").keys()


def test_allowed_leaks_are_named(lints):
    assert "shared_source, validation_unlabelled" in lints("s4gan_v3")["allowed_leak"]
    assert "allowed_leak" not in lints("s4gan_corrected")
