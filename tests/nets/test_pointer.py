import pytest
import torch

from runner.errors import RecipeError
from runner.nets.pointing.network import around_peak, cell_middles, grid_mean, pointer


def built(**changed):
    torch.manual_seed(0)
    values = {
        "channels": 3, "backbone": "test_resnet", "pretrained": None, "norm": "group",
        "stride": 4, "head": "heatmap", "hidden": 16, **changed,
    }  # fmt: skip
    return pointer(*values.values())


@pytest.mark.parametrize("head", ["regression", "heatmap"])
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_every_parameter_learns_whatever_the_canvas(head, size):
    model = built(head=head)
    pointed = model(torch.randn(2, 3, *size))
    assert (pointed.point.shape, pointed.done.shape) == ((2, 2), (2,))
    (pointed.point.sum() + pointed.done.sum()).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None]
    assert silent == []


def test_the_mean_of_a_heatmap_stays_on_the_canvas():
    model = built()
    with torch.no_grad():
        model.head.heatmap_head.weight.mul_(1e4)
        assert model(torch.randn(4, 3, 64, 64)).point.abs().max() <= 1


def test_a_heatmap_of_one_cell_points_at_its_middle():
    head = built().head
    features = torch.zeros(1, 34, 4, 4)
    features[0, 0, 1, 3] = 1.0
    with torch.no_grad():
        for p in head.parameters():
            p.zero_()
        head.hidden.weight[0, 0] = 1.0
        head.heatmap_head.weight[0, 0] = 10.0
        assert head(features).point[0].tolist() == pytest.approx([0.75, -0.25])


def test_peak_is_read_in_evaluation_alone_and_lies_at_one_of_two_places():
    mean, peak = (built(head=head).head for head in ("heatmap", "heatmap_peak"))
    features = torch.zeros(1, 34, 16, 16)
    features[0, 0, 3, 2], features[0, 0, 3, 13] = 1.0, 1.001
    for head in (mean, peak):
        with torch.no_grad():
            for p in head.parameters():
                p.zero_()
            head.hidden.weight[0, 0] = 1.0
            head.heatmap_head.weight[0, 0] = 10.0
    expected = cell_middles(16, 16, features)[0, :, 3, 13]
    assert torch.allclose(peak.eval()(features).point[0], expected, atol=1e-4)
    assert torch.equal(peak.train()(features).point, mean.eval()(features).point)
    assert abs(mean(features).point[0, 0]) < 0.2  # between the two, where nothing is


def test_shares_around_a_peak_at_the_edge_sum_to_one():
    share = torch.rand(3, 5, 7)
    share[0, 0, 0] = share[1, 4, 6] = share[2, 2, 3] = 2
    near = around_peak(share)
    assert torch.allclose(near.sum((1, 2)), torch.ones(3))
    assert (near > 0).sum((1, 2)).tolist() == [9, 9, 25]


def test_cells_lie_between_the_edges():
    middles = cell_middles(2, 4, torch.zeros(1))
    assert middles.shape == (1, 2, 2, 4)
    assert middles[0, 0, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert middles[0, 1, :, 0].tolist() == [-0.5, 0.5]


@pytest.mark.parametrize("size", [(16, 24), (8, 8), (10, 13), (4, 5)])
def test_the_mean_of_cells_is_torchs_where_they_divide_evenly(size):
    features = torch.randn(2, 3, *size, dtype=torch.float64)
    found = grid_mean(features, 8)
    assert found.shape == (2, 3, 8, 8)
    assert torch.allclose(found.mean((2, 3)), features.mean((2, 3)))
    if all(edge % 8 == 0 for edge in size):
        assert torch.allclose(found, torch.nn.functional.adaptive_avg_pool2d(features, 8))


@pytest.mark.parametrize(
    ("changed", "key", "said"),
    [
        ({"backbone": "test_resnett"}, "backbone", "did you mean 'test_resnet'"),
        ({"stride": 5}, "stride", "test_resnet has no map of stride 5; choose one of 2, 4"),
        ({"pretrained": "timm", "backbone": "resnet10t_"}, "backbone", "no timm model"),
        ({"pretrained": "none.safetensors"}, "pretrained", "there is no file"),
    ],
)
def test_wrong_values_are_named_with_a_cure(changed, key, said):
    with pytest.raises(RecipeError, match=key) as raised:
        built(**changed)
    assert said in str(raised.value)


def test_a_file_of_weights_fills_the_backbone(tmp_path):
    import timm
    from safetensors.torch import save_file

    whole = timm.create_model("test_resnet")
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    model = built(pretrained=str(tmp_path / "w.safetensors"), norm="batch")
    own = {name.replace("_", "."): p for name, p in model.backbone.state_dict().items()}
    theirs = {name.replace("_", "."): p for name, p in whole.state_dict().items()}
    assert own and all(torch.equal(p, theirs[name]) for name, p in own.items())
