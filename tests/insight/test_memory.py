"""What is traced without values is what autograd keeps when the step is computed."""

import pytest
import torch

from runner.engine.batches import train_loader
from runner.engine.reading import read_data
from runner.insight.memory import LATE, estimate
from runner.language.explain import load_at
from runner.language.machine import Machine


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    return Machine(cache=str(tmp_path_factory.mktemp("cache")), workers=0)


@pytest.mark.parametrize("name", ["uav_fixed", "vesuvius_fixed", "pointer_fixed", "yolov8_fixed"])
def test_traced_activations_are_those_of_a_real_step(name, machine):
    loaded = load_at(name, "smoke")
    recipe = loaded.recipe
    data = read_data(recipe, machine)
    size = recipe.train.batch_size
    sampler = recipe.sampler.build(data.splits["train"], size)
    task = recipe.task.build(data.spec).train()
    batch = next(train_loader(data.splits["train"], sampler, batch_size=size, seed=0))
    own = {each.untyped_storage()._cdata for each in (*task.parameters(), *task.buffers())}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        terms = task.losses(batch, LATE)
    assert terms
    wanted = sum(size for storage, size in kept.items() if storage not in own)
    found = estimate(loaded, machine)
    # Some operations keep their inputs in another form where they are only traced.
    assert found.activations == pytest.approx(wanted, rel=0.05)
    trained = sum(p.numel() * 4 for p in task.parameters())
    assert (found.gradients, found.optimizer) == (trained, 2 * trained)  # AdamW keeps two
    assert found.total == sum(
        (found.weights, found.gradients, found.optimizer, found.average, found.activations)
    )


def test_what_is_kept_grows_with_the_batch_and_the_average(machine):
    one, two = (
        estimate(load_at("uav_fixed", "smoke", [f"train.batch_size={size}"]), machine)
        for size in (2, 4)
    )
    assert two.activations == pytest.approx(2 * one.activations, rel=0.01)
    assert (one.weights, one.optimizer) == (two.weights, two.optimizer)
    averaged = estimate(load_at("uav_fixed", "smoke", ["train.ema={decay: 0.9}"]), machine)
    assert (one.average, averaged.average) == (0, one.weights)


def test_momentum_is_half_of_adam(machine):
    sets = ["optimizer={name: sgd, params: {lr: 0.1}}"]
    found = estimate(load_at("uav_fixed", "smoke", sets), machine)
    assert found.optimizer == found.gradients


def test_what_cannot_be_traced_is_computed_of_two_samples(machine):
    found = estimate(load_at("s4gan_v3", "smoke"), machine)
    assert found.computed == 2
    assert found.activations > 0
