import pytest

from runner.errors import RecipeError
from runner.plan import make_plan


def test_a_step_descends_accumulated_batches_and_an_epochs_last_step_what_is_left() -> None:
    plan = make_plan(draws_per_epoch=11, batch_size=2, accumulate=4, epochs=2)
    assert (plan.batches_per_epoch, plan.steps_per_epoch, plan.steps) == (6, 2, 4)
    assert [list(plan.group(step)) for step in range(4)] == [
        [0, 1, 2, 3],
        [4, 5],
        [6, 7, 8, 9],
        [10, 11],
    ]
    assert [plan.samples(batch) for batch in range(6)] == [2, 2, 2, 2, 2, 1]
    assert plan.samples(11) == 1


def test_drop_last_leaves_the_partial_batch_out() -> None:
    plan = make_plan(draws_per_epoch=11, batch_size=2, drop_last=True, epochs=1)
    assert plan.batches_per_epoch == 5
    assert plan.samples(4) == 2


@pytest.mark.parametrize("drop_last", [True, False])
def test_groups_cover_every_batch_once(drop_last: bool) -> None:
    for draws in range(3, 30):
        plan = make_plan(
            draws_per_epoch=draws, batch_size=3, accumulate=2, drop_last=drop_last, epochs=3
        )
        batches = [batch for step in range(plan.steps) for batch in plan.group(step)]
        assert batches == list(range(3 * plan.batches_per_epoch))
        counted = sum(plan.samples(batch) for batch in batches)
        assert counted == 3 * (draws // 3 * 3 if drop_last else draws)


def test_evaluations_end_each_nth_epoch_and_the_training() -> None:
    plan = make_plan(draws_per_epoch=8, batch_size=2, epochs=5, evaluate_every_epochs=2)
    assert [step for step in range(1, 21) if plan.evaluates_at(step)] == [8, 16, 20]


def test_a_compressed_plan_keeps_the_share_of_what_is_written() -> None:
    plan = make_plan(
        draws_per_epoch=80, batch_size=2, epochs=10, compress_to_steps=20, log_every=100
    )
    assert (plan.steps, plan.written_steps, plan.written_epochs) == (20, 400, 10.0)
    assert [step for step in range(1, 21) if plan.evaluates_at(step)] == list(range(2, 21, 2))
    half = plan.progress(10)
    assert (half.step, half.epoch, half.fraction) == (200.0, 5.0, 0.5)
    assert plan.epochs == 0.5
    assert plan.logs_at(2), "an evaluation has training figures beside it"


def test_a_plan_is_not_stretched() -> None:
    plan = make_plan(draws_per_epoch=8, batch_size=2, steps=5, compress_to_steps=50)
    assert plan.steps == plan.written_steps == 5


def test_effective_batch_is_at_most_an_epoch() -> None:
    assert make_plan(draws_per_epoch=8, batch_size=6, epochs=1).effective_batch == 6
    assert make_plan(draws_per_epoch=8, batch_size=6, accumulate=3, epochs=1).effective_batch == 8
    plan = make_plan(draws_per_epoch=10, batch_size=4, accumulate=3, drop_last=True, epochs=1)
    assert plan.effective_batch == 8


def test_an_epoch_without_a_full_batch_is_refused_with_the_cure() -> None:
    with pytest.raises(RecipeError, match=r"train.batch_size: .*no full batch: 3 draws.*lower"):
        make_plan(draws_per_epoch=3, batch_size=4, drop_last=True, epochs=1)


@pytest.mark.parametrize("given", [{}, {"epochs": 1, "steps": 1}])
def test_length_is_either_epochs_or_steps(given: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match="train: epochs and steps are both"):
        make_plan(draws_per_epoch=3, batch_size=1, **given)


def test_a_batch_that_processes_cannot_share_names_what_keeps_the_effective_batch() -> None:
    with pytest.raises(RecipeError, match="batch_size: 4 with accumulate: 3 keeps"):
        make_plan(draws_per_epoch=24, batch_size=3, accumulate=4, epochs=1, processes=4)
    with pytest.raises(RecipeError, match="effective batch of 3 can be kept with 1 processes"):
        make_plan(draws_per_epoch=24, batch_size=3, epochs=1, processes=2)
