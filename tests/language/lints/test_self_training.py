"""Lints of learning from one's own labels."""


def student(params: str) -> str:
    return f"extends: s4gan_corrected\ntask: {{params: {{{params}}}}}\n"


def test_class_whose_every_label_is_believed_is_named(lints):
    said = lints("s4gan_phase2")["zero_threshold"]
    assert said == "task.params.thresholds: every prediction of background is believed"
    assert "every class" in lints(student("thresholds: 0.0"))["zero_threshold"]
    assert "zero_threshold" not in lints("s4gan_corrected")


def test_labels_that_weigh_nothing_do_no_harm(lints):
    said = lints("s4gan_supervised")
    assert "zero_threshold" not in said
    assert "own_labels_of_the_same_view" not in said


def test_teacher_or_a_strong_view_is_enough(lints):
    assert "own_labels_of_the_same_view" in lints("s4gan_v3")
    assert "own_labels_of_the_same_view" not in lints(student("teacher_decay: null"))
    weak = student("teacher_decay: null") + "data: {params: {strong: []}}\n"
    assert "own_labels_of_the_same_view" in lints(weak)


def test_leak_that_is_let_be_is_named_with_its_kind(lints):
    assert lints("s4gan_v3")["allowed_leak"].endswith("shared_source and validation_unlabelled")
    own = "extends: segmentation\ndata: {params: {allow_leak: true}}\n"
    assert lints(own)["allowed_leak"] == ("data.params.allow_leak: two splits may share: an image")
    assert "allowed_leak" not in lints("s4gan_corrected")


def test_pseudo_labels_that_come_after_the_end_are_named(lints):
    late = student("start_step: 50000")
    said = lints(late)["never_self_trained"]
    assert said == "task.params.start_step: the training ends at step 50000"
    assert "never_self_trained" not in lints(student("start_step: 49999"))
    assert "never_self_trained" not in lints(student("start_step: 50000, weight: 0.0"))


def test_sampler_that_does_not_mix_both_streams_is_named(lints):
    own = "extends: self_training\nsampler: {name: shuffled}\n"
    said = lints(own)["labelled_share_left_to_chance"]
    assert said == "task: shuffled mixes labelled and unlabelled as they come"
    assert "labelled_share_left_to_chance" not in lints("self_training")
