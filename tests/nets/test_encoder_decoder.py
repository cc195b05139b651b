import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from runner.contracts import DataSpec
from runner.errors import MachineError, RecipeError
from runner.nets.encoder_decoder import deeplabv3plus, unet

SPEC = DataSpec(("a", "b", "c"))


def small_unet(spec=SPEC, encoder="resnet10t", pretrained=None, norm="group", widths=(16, 8, 8)):
    return unet(spec, encoder, pretrained, norm, widths)


def small_deeplab(encoder="resnet10t", norm="group", output_stride=16, heads=None):
    return deeplabv3plus(SPEC, encoder, None, norm, 16, output_stride, (2, 4, 6), 0.1, heads)


@pytest.mark.parametrize("build", [small_unet, small_deeplab])
@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("size", [(64, 64), (37, 50), (1, 3)])
def test_logits_have_the_size_of_any_image(build, norm, size):
    model = build(norm=norm).eval()
    assert model(torch.rand(2, 3, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("build", [small_unet, small_deeplab])
def test_group_norm_replaces_every_batch_norm(build):
    def norms(model):
        return {type(layer) for layer in model.modules() if "Norm" in type(layer).__name__}

    assert nn.BatchNorm2d in norms(build(norm="batch"))
    assert norms(build(norm="group")) == {nn.GroupNorm}


def test_with_group_norm_a_batch_of_one_is_trained():
    model = small_deeplab()
    model(torch.rand(1, 3, 64, 64)).square().mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_the_decoders_channels_decide_the_depth():
    assert (small_unet().stride, small_unet(widths=(16, 8, 8, 8, 8)).stride) == (8, 32)


def test_the_output_stride_is_the_encoders():
    assert (small_deeplab().stride, small_deeplab(output_stride=8).stride) == (16, 8)


def test_several_heads_give_the_mean_of_their_logits():
    torch.manual_seed(0)
    model = small_deeplab(heads=(0.1, 0.15, 0.2)).eval()
    image, whole = torch.rand(1, 3, 64, 64), model.model.segmentation_head
    mean = model(image)
    alone = []
    for head in whole[0].heads:
        whole[0] = head
        alone.append(model(image))
    assert not torch.equal(alone[0], alone[1])
    torch.testing.assert_close(mean, torch.stack(alone).mean(0))


def test_images_may_have_another_number_of_channels():
    model = small_unet(DataSpec(("a", "b"), channels=5))
    assert model(torch.rand(1, 5, 16, 16)).shape == (1, 2, 16, 16)


def test_volumes_are_refused():
    with pytest.raises(RecipeError, match="use conv_unet"):
        small_unet(DataSpec(("a", "b"), dimensions=3))


def test_an_encoder_that_has_no_maps_is_refused():
    with pytest.raises(RecipeError, match="'vit_tiny_patch16_224' cannot be the encoder"):
        small_unet(encoder="vit_tiny_patch16_224")


def test_a_local_file_is_loaded_and_survives_the_change_of_norm(tmp_path):
    torch.manual_seed(1)
    source = timm.create_model("resnet10t", num_classes=7)
    nn.init.uniform_(source.layer1[0].bn1.weight)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    encoder = small_unet(pretrained=str(tmp_path / "w.safetensors")).model.encoder.model
    assert torch.equal(encoder.layer1[0].conv1.weight, source.layer1[0].conv1.weight)
    assert torch.equal(encoder.layer1[0].bn1.weight, source.layer1[0].bn1.weight)


def test_weights_that_cannot_be_fetched_are_the_machines_fault(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MachineError, match="'resnet18' are not on this machine") as caught:
        small_unet(encoder="resnet18", pretrained="timm")
    assert caught.value.problems[0].key == "pretrained"
