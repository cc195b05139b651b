import copy

import torch
from torch import nn

from runner.engine.ema import Ema, evaluated_weights

APPLIED = torch.tensor(1.0)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def change(task: nn.Module) -> None:
    with torch.no_grad():
        for tensor in [*task.parameters(), *task.buffers()]:
            tensor += 1


def test_decay_ramps_up_to_what_was_asked_for() -> None:
    task = net()
    ema = Ema(task, decay=0.5, evaluate=True)
    wanted = task[0].weight.detach().clone()
    for updates in range(12):
        change(task)
        decay = min(0.5, (1 + updates) / (10 + updates))
        wanted = decay * wanted + (1 - decay) * task[0].weight.detach()
        ema.update(updates, APPLIED)
    torch.testing.assert_close(ema.state_dict()["weights"]["0.weight"], wanted)


def test_shared_weights_are_averaged_under_every_name() -> None:
    task = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    task[1].weight = task[0].weight
    ema = Ema(task, decay=0.9, evaluate=True)
    change(task)
    ema.update(0, APPLIED)
    averaged = ema.state_dict()["weights"]["0.weight"].clone()
    assert not torch.equal(averaged, task[0].weight)
    state = {"task": task.state_dict(), "ema": ema.state_dict()}
    task.load_state_dict(evaluated_weights(state))
    assert torch.equal(task[0].weight, averaged)


def test_statistics_are_copied() -> None:
    task = net()
    ema = Ema(task, decay=0.9, evaluate=True)
    change(task)
    ema.update(0, APPLIED)
    assert torch.equal(ema.state_dict()["weights"]["1.running_mean"], task[1].running_mean)


def test_a_skipped_step_moves_nothing() -> None:
    task = net()
    ema = Ema(task, decay=0.9, evaluate=True)
    change(task)
    ema.update(0, APPLIED)
    before = copy.deepcopy(ema.state_dict()["weights"])
    ema.update(1, torch.tensor(0.0))
    assert all(torch.equal(v, before[n]) for n, v in ema.state_dict()["weights"].items())


def test_weights_come_back_after_an_evaluation_that_fails() -> None:
    task = net()
    ema = Ema(task, decay=0.9, evaluate=True)
    start = copy.deepcopy(task.state_dict())
    change(task)
    live = copy.deepcopy(task.state_dict())
    try:
        with ema.in_place_of_weights():
            assert torch.equal(task[0].weight, start["0.weight"])
            assert torch.equal(task[1].running_var, start["1.running_var"])
            raise KeyError
    except KeyError:
        assert all(torch.equal(value, live[n]) for n, value in task.state_dict().items())


def test_frozen_weights_are_left_alone() -> None:
    task = net()
    task[0].weight.requires_grad_(False)
    ema = Ema(task, decay=0.9, evaluate=True)
    assert "0.weight" not in ema.state_dict()["weights"]


def test_what_is_loaded_goes_on_where_it_was() -> None:
    task = net()
    ema = Ema(task, decay=0.9, evaluate=True)
    change(task)
    ema.update(0, APPLIED)
    state = copy.deepcopy(ema.state_dict())
    other = Ema(net(), decay=0.9, evaluate=True)
    other.load_state_dict(state)
    assert all(
        torch.equal(v, state["weights"][n]) for n, v in other.state_dict()["weights"].items()
    )


def test_what_a_checkpoint_does_not_hold_is_not_averaged() -> None:
    """A detector's head keeps its strides so; a state that held them would not load."""
    task = net()
    task.register_buffer("table", torch.ones(2), persistent=False)
    ema = Ema(task, decay=0.9, evaluate=True)
    state = {"task": task.state_dict(), "ema": ema.state_dict()}
    assert "table" not in state["ema"]["weights"]
    state["ema"]["weights"]["table"] = torch.ones(2)  # As it was written once.
    net_of_today = net()
    net_of_today.load_state_dict(evaluated_weights(state))


def test_a_checkpoint_says_which_weights_were_evaluated() -> None:
    task = {"a": torch.tensor(1.0), "b": torch.tensor(2)}
    averaged = {"a": torch.tensor(5.0)}
    for evaluate, wanted in ((True, 5.0), (False, 1.0)):
        state = {"task": task, "ema": {"evaluate": evaluate, "weights": averaged}}
        assert evaluated_weights(state) == {"a": wanted, "b": 2}
    assert evaluated_weights({"task": task, "ema": None}) == task
