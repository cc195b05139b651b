import pytest
import torch
from pydantic import ValidationError

from runner.contracts import DataSpec
from runner.errors import RecipeError
from runner.registry import models

SPEC = DataSpec(("a", "b", "c"))
SMALL = {"encoder": "resnet10t", "norm": "group"}
BLOCKS = [
    {"name": "unet", "params": {**SMALL, "decoder_channels": [8, 8, 8]}},
    {"name": "deeplabv3plus", "params": {**SMALL, "decoder_channels": 8}},
    {"name": "conv_unet", "params": {"widths": [8, 16], "groups": 4}},
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["name"])
def test_a_model_gives_one_logit_for_each_class_and_pixel(block):
    assert models.parse(block).build(SPEC)(torch.rand(2, 3, 33, 40)).shape == (2, 3, 33, 40)


def test_conv_unet_takes_volumes():
    model = models.parse({"name": "conv_unet", "params": {"widths": [4, 8]}})
    spec = DataSpec(("a", "b"), channels=1, dimensions=3)
    assert model.build(spec)(torch.rand(1, 1, 5, 6, 7)).shape == (1, 2, 5, 6, 7)


@pytest.mark.parametrize("name", ["unet", "deeplabv3plus", "conv_unet"])
def test_every_parameter_is_described(name):
    schema = models[name].params.model_json_schema()["properties"]
    assert [key for key, value in schema.items() if not value.get("description")] == []


@pytest.mark.parametrize(
    "params",
    [{"pretrained": "imagenet"}, {"pretrained": "weights.pth"}, {"norm": "layer"}]
    + [{"decoder_channels": [8, 8]}, {"decoder_channels": [8, 8, 0]}],
)
def test_what_a_unet_cannot_be_is_refused_before_it_is_built(params):
    with pytest.raises(ValidationError):
        models.parse({"name": "unet", "params": params})


def test_groups_without_group_norm_are_refused():
    part = models.parse({"name": "conv_unet", "params": {"norm": "batch", "groups": 4}})
    with pytest.raises(RecipeError, match="norm batch has no groups"):
        part.build(SPEC)


def test_groups_are_what_the_recipe_says():
    model = models.parse(BLOCKS[2]).build(SPEC)
    groups = [x.num_groups for x in model.modules() if isinstance(x, torch.nn.GroupNorm)]
    assert groups == [2, 2, 4, 4, 2, 2]
