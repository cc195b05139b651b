import pytest
import torch
from pydantic import ValidationError

from runner.contracts import Batch, DataSpec, Progress
from runner.errors import RecipeError
from runner.registry import tasks

BLOCK = {
    "name": "segmentation",
    "params": {
        "model": {"name": "conv_unet", "params": {"widths": [4, 8]}},
        "loss": {"name": "dice"},
    },
}


def test_a_segmentation_trains_on_masks():
    spec = DataSpec(("a", "b"), channels=1)
    task = tasks.parse(BLOCK).build(spec)
    batch = Batch(
        ids=("x",),
        image=torch.randint(0, 256, (1, 1, 7, 9), dtype=torch.uint8),
        target={"mask": torch.randint(0, 2, (1, 7, 9), dtype=torch.uint8)},
        mean=torch.zeros(1, 1),
        std=torch.ones(1, 1),
        is_labelled=torch.tensor([True]),
    )
    terms = task(batch, Progress(0, 0, 0))
    assert terms.keys() == {"dice"}
    terms["dice"].backward()
    assert all(p.grad is not None for p in task.parameters())


def test_a_fault_inside_a_nested_part_is_found_when_the_recipe_is_read():
    params = {**BLOCK["params"], "loss": {"name": "dice", "params": {"smoth": 1.0}}}
    with pytest.raises(ValidationError) as caught:
        tasks.parse({"name": "segmentation", "params": params})
    assert "did you mean 'smooth'" in str(caught.value)


def self_training(**params):
    block = {"name": "self_training", "params": {"task": BLOCK, **params}}
    return tasks.parse(block).build(DataSpec(("a", "b"), channels=1))


def test_thresholds_are_given_by_class_or_at_once():
    assert self_training(thresholds=0.5).thresholds.tolist() == [0.5, 0.5]
    assert self_training(thresholds={"b": 0.25, "a": 0.5}).thresholds.tolist() == [0.5, 0.25]


def test_thresholds_of_unknown_and_without_known_classes_are_refused_at_their_keys():
    with pytest.raises(RecipeError) as caught:
        self_training(thresholds={"a": 0.5, "wood": 0.5})
    assert [(each.key, each.message) for each in caught.value.problems] == [
        ("thresholds.wood", "no class is called 'wood'; known here: a, b"),
        ("thresholds", "b: no threshold; add it for each class"),
    ]


def test_only_a_segmentation_can_label_pixels():
    nested = {"name": "self_training", "params": {"task": BLOCK, "thresholds": 0.5}}
    with pytest.raises(RecipeError, match="self_training cannot label pixels"):
        self_training(task=nested, thresholds=0.5)


def test_a_teacher_that_is_not_there_is_not_evaluated():
    with pytest.raises(RecipeError, match="there is no teacher"):
        self_training(thresholds=0.5, teacher_decay=None, evaluate="teacher")
