import pytest
import torch
from pydantic import ValidationError

from runner.contracts import Batch, DataSpec, Progress
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
