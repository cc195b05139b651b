"""Lints of labels, scales and batches."""

import pytest


def test_merged_labels_are_told_with_the_share_they_make(lints):
    said = lints("vesuvius_baseline")["merged_ignore"]
    assert "label 2 means unlabelled and is taken for foreground" in said
    assert "6.3% of the voxels become 59.3%" in said
    assert "merged_ignore" not in lints("vesuvius_corrected")


def test_merged_labels_are_named_before_anything_is_measured(lints):
    text = "extends: vesuvius_baseline\ndata: {params: {root: here}}\n"
    assert lints(text)["merged_ignore"].endswith("taken for foreground")


def folder(**params: object) -> str:
    written = ", ".join(f"{name}: {value}" for name, value in params.items())
    return f"extends: segmentation\ndata: {{params: {{{written}}}}}\n"


@pytest.mark.parametrize(
    ("params", "is_named"),
    [
        ({"validation": "squash"}, True),
        ({"validation": "squash", "resize": "[1024, 2048]"}, True),
        ({"validation": "squash", "resize": "[512, 512]"}, False),
        ({"validation": "squash", "crop": "null"}, False),
        ({"validation": "tiles"}, False),
    ],
)
def test_images_squashed_beside_crops_are_named(lints, params, is_named):
    assert ("validation_at_another_scale" in lints(folder(**params))) == is_named


def test_squashing_is_told_in_figures_where_the_size_is_known(lints):
    said = lints(folder(validation="squash", resize="[1024, 2048]"))
    assert said["validation_at_another_scale"].endswith("squashed, by 4.0 and 2.0")
    assert "by" not in lints("uav_fixed")["validation_at_another_scale"]


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ("crop: [64, 96], resize: [64, 96]", "images are 64 x 96 px before and after"),
        ("crop: null, resize: [64, 96]", "images are not cut"),
        ("crop: [64, 64], resize: [64, 96]", None),
        ("crop: [64, 64]", None),
    ],
)
def test_crops_around_a_class_that_show_the_whole_image_are_named(lints, sizes, said):
    transforms = "transforms: [{name: flip}]"
    text = f"extends: uav_corrected\ndata: {{params: {{{sizes}, {transforms}}}}}\n"
    found = lints(text).get("crops_of_whole_images")
    assert found == (said and f"sampler.params.classes: {said}")


@pytest.mark.parametrize(("size", "is_named"), [(1, True), (2, True), (3, False)])
def test_batchnorm_of_two_images_is_named_and_accumulation_does_not_help(lints, size, is_named):
    train = f"train: {{batch_size: {size}, accumulate: 8}}\n"
    said = lints(f"extends: segmentation\n{train}")
    assert ("batchnorm_of_a_tiny_batch" in said) == is_named
    group = "task: {params: {model: {params: {norm: group}}}}\n"
    assert "batchnorm_of_a_tiny_batch" not in lints(f"extends: segmentation\n{train}{group}")


def test_every_network_says_what_it_normalises_by_under_one_name():
    from runner.registry import models

    named = {name for name in models if "norm" in models[name].params.model_fields}
    assert set(models) - named == {"mask_discriminator", "single_level_head"}, "they have none"
