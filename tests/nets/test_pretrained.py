import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import save_file

from runner.errors import DataError, MachineError, RecipeError
from runner.nets.pretrained import encoder_name, load_encoder, no_weights, published_weights

OWN_AND_TIMM = ("smp-resnet18", "resnet18")


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(1)
    return timm.create_model("resnet18", num_classes=10)


@pytest.fixture
def file(classifier, tmp_path):
    save_file(classifier.state_dict(), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def encoder(name="tu-resnet18", channels=3, depth=5):
    return smp.encoders.get_encoder(name, in_channels=channels, depth=depth, weights=None)


@pytest.mark.parametrize(
    ("name", "called"),
    [("resnet18", "tu-resnet18"), ("tu-resnet18", "tu-resnet18"), ("mit_b0", "mit_b0")]
    + [("resnet18.a1_in1k", "tu-resnet18.a1_in1k"), ("efficientnet-b0", "efficientnet-b0")]
    + [("smp-resnet18", "resnet18"), ("smp-mit_b0", "mit_b0")],
)
def test_timm_and_smp_names_are_known(name, called):
    assert encoder_name(name) == called


def test_an_unknown_encoder_is_answered_with_the_nearest_name():
    with pytest.raises(RecipeError, match="did you mean 'resnet50'") as caught:
        encoder_name("resnet5O")
    assert caught.value.problems[0].key == "encoder"


def test_smps_own_resnet_starts_with_open_residual_branches_and_timms_with_shut_ones():
    own, timms = (smp.encoders.get_encoder(encoder_name(n), weights=None) for n in OWN_AND_TIMM)
    assert own.layer1[0].bn2.weight.eq(1).all()
    assert timms.model.layer1[0].bn2.weight.eq(0).all()


def test_the_weights_of_smps_own_encoders_are_a_file_of_ones_own():
    with pytest.raises(RecipeError, match="'resnet18', which is segmentation_models_pytorch's own"):
        published_weights(encoder_name("smp-resnet18"), "timm")


def test_a_name_like_no_other_is_answered_without_a_list_of_all():
    with pytest.raises(RecipeError) as caught:
        encoder_name("qqqqqqqq")
    assert len(str(caught.value)) < 200


def test_a_classifiers_file_fills_the_encoder(classifier, file):
    filled = encoder()
    load_encoder(filled, file, 3)
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(filled.eval()(image)[-1], classifier.eval().forward_features(image))


def test_a_file_fills_an_encoder_of_fewer_stages(classifier, file):
    filled = encoder(depth=3)
    load_encoder(filled, file, 3)
    assert torch.equal(filled.model.conv1.weight, classifier.conv1.weight)


def test_a_file_with_the_encoders_own_names_fills_it(tmp_path):
    source, filled = encoder("mit_b0"), encoder("mit_b0")
    save_file(source.state_dict(), tmp_path / "own.safetensors")
    load_encoder(filled, tmp_path / "own.safetensors", 3)
    assert all(
        torch.equal(a, b) for a, b in zip(source.parameters(), filled.parameters(), strict=True)
    )


def test_names_of_a_network_taken_apart_are_recognised(tmp_path):
    torch.manual_seed(2)
    whole = timm.create_model("convnext_atto", num_classes=3)
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    filled = encoder("tu-convnext_atto")
    load_encoder(filled, tmp_path / "whole.safetensors", 3)
    assert torch.equal(filled.model.stem_0.weight, whole.stem[0].weight)


def test_a_first_layer_is_adapted_to_other_channels(classifier, file):
    filled = encoder(channels=1)
    load_encoder(filled, file, 1)
    expected = classifier.conv1.weight.sum(1, keepdim=True)
    assert torch.allclose(filled.model.conv1.weight, expected)


def test_weights_of_another_network_are_refused(file):
    with pytest.raises(DataError, match="lacks .* of the encoder's .* tensors") as caught:
        load_encoder(encoder("tu-resnet34"), file, 3)
    assert caught.value.problems[0].place == str(file)


def test_a_damaged_file_is_refused(file):
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_encoder(encoder(), file, 3)


def test_a_missing_file_is_the_recipes_fault(tmp_path):
    with pytest.raises(RecipeError, match="there is no file"):
        load_encoder(encoder(), tmp_path / "none.safetensors", 3)


def test_published_weights_are_asked_for_by_timms_name_alone():
    assert published_weights("tu-resnet18", "timm") is True
    assert published_weights("tu-resnet18", None) is None
    assert published_weights("tu-resnet18", "own.safetensors") is None


def test_an_encoder_that_timm_does_not_publish_is_named():
    with pytest.raises(RecipeError, match="timm publishes no weights of 'mit_b0'"):
        published_weights("mit_b0", "timm")


def test_without_network_the_error_says_how_to_give_a_file():
    error = no_weights("tu-resnet18", FileNotFoundError())
    assert isinstance(error, MachineError)
    assert "copy model.safetensors of that timm model here and write its path" in str(error)
