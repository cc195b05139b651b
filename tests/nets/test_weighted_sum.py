import torch
from torch import nn

from runner.nets.weighted_sum import WeightedSum


class Squared(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, value, _):
        return self.scale * value**2


def both(value, target):
    return {"near": value, "far": target}


def test_each_term_is_weighted_and_named():
    loss = WeightedSum({"a": (0.5, Squared()), "b": (3.0, both)})
    terms = loss(torch.tensor(3.0), torch.tensor(1.0))
    assert {name: float(value) for name, value in terms.items()} == {
        "a": 9.0,
        "b/near": 9.0,
        "b/far": 3.0,
    }


def test_a_term_may_be_called_like_a_method_of_a_module():
    terms = WeightedSum({"keys": (1.0, Squared()), "forward": (1.0, Squared())})
    assert terms(torch.tensor(1.0), None).keys() == {"keys", "forward"}


def test_buffers_of_its_losses_are_its_own():
    assert len(WeightedSum({"a": (1.0, Squared()), "b": (1.0, both)}).state_dict()) == 1


def test_a_weight_of_zero_gives_zero():
    assert WeightedSum({"a": (0.0, Squared())})(torch.tensor(5.0), None)["a"] == 0
