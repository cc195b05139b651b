import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import Accuracy, Shuffled, TinySplit, TinyTask, tiny_run
from torch import nn

from runner.contracts import History, Progress
from runner.engine.batches import train_loader
from runner.engine.ema import evaluated_weights
from runner.engine.evaluation import evaluate
from runner.engine.loop import EarlyStopping, Monitor, Run, TrainedGroup, seed_everything, train
from runner.errors import DataError, MachineError, RecipeError
from runner.events import Evaluated, Event, Finding, Finished, Saved, Started, Stepped


def of(events: Sequence[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def trained(**settings: Any) -> Run:
    run = tiny_run(**settings)
    list(train(run))
    return run


def test_a_training_tells_its_course_in_order(tmp_path: Path) -> None:
    events = list(train(tiny_run(tmp_path, panels=3)))
    kinds = [(type(event).__name__, event.step) for event in events]
    assert kinds == [
        ("Started", 0),
        *[("Stepped", 2), ("Stepped", 3), ("Evaluated", 3), ("Saved", 3)],
        *[("Stepped", 4), ("Stepped", 6), ("Evaluated", 6), ("Saved", 6)],
        *[("Stepped", 8), ("Stepped", 9), ("Evaluated", 9), ("Saved", 9)],
        ("Finished", 9),
    ]
    started = events[0]
    assert isinstance(started, Started)
    assert (started.steps, started.epochs, started.steps_per_epoch) == (9, 3.0, 3)
    assert started.effective_batch == 4
    evaluated = of(events, Evaluated)[0]
    assert set(evaluated.values) == {"val/loss", "val/accuracy"}
    assert len(evaluated.panels) == 3
    assert events[-1].state == "done"  # type: ignore[attr-defined]


def test_terms_add_up_to_the_loss() -> None:
    for event in of(list(train(tiny_run())), Stepped):
        values = event.values
        assert values["train/loss"] == values["train/loss/ce"] + values["train/loss/size"]
        assert event.samples_per_s > 0


def by_hand(optimizer: str, clip_norm: float | None = 1.0) -> tuple[TinyTask, list[float]]:
    """Train the plain task without the loop: each step's batch is taken in one piece."""
    torch.manual_seed(5)
    task = TinyTask(is_plain=True)
    kind = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[optimizer]
    made = kind(task.parameters(), lr={"adamw": 0.01, "sgd": 0.05}[optimizer])
    batches = train_loader(TinySplit(), Shuffled(11), batch_size=1, seed=7)
    losses = []
    for step in range(9):
        made.param_groups[0]["lr"] = made.defaults["lr"] * (1 - step / 9 / 2)
        samples = [next(batches) for _ in range((4, 4, 3)[step % 3])]
        terms = [sum(task(batch, Progress(0, 0, 0)).values()) for batch in samples]
        loss = torch.stack(terms).mean()
        made.zero_grad()
        loss.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(task.parameters(), clip_norm)
        made.step()
        losses.append(loss.item())
    return task, losses


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(("batch_size", "accumulate"), [(2, 2), (4, 1), (1, 4)])
def test_a_step_is_the_mean_over_its_samples_however_they_are_batched(
    optimizer: str, batch_size: int, accumulate: int
) -> None:
    run = tiny_run(
        is_plain=True,
        optimizer=optimizer,
        batch_size=batch_size,
        accumulate=accumulate,
        plan={"log_every": 1},
    )
    events = list(train(run))
    task, losses = by_hand(optimizer)
    for name, value in task.state_dict().items():
        torch.testing.assert_close(run.task.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    logged = [event.values["train/loss"] for event in of(events, Stepped)]
    assert logged == pytest.approx(losses, rel=1e-4)


def test_the_logged_norm_is_from_before_clipping() -> None:
    events = list(train(tiny_run(plan={"log_every": 1}, is_plain=True)))
    assert max(event.values["train/grad_norm"] for event in of(events, Stepped)) > 1.0


def test_figures_are_means_since_the_last_logging_step() -> None:
    each = [
        e.values["train/loss"] for e in of(list(train(tiny_run(plan={"log_every": 1}))), Stepped)
    ]
    by_three = of(list(train(tiny_run(plan={"log_every": 3}))), Stepped)
    assert [event.step for event in by_three] == [3, 6, 9]
    for number, event in enumerate(by_three):
        mean = sum(each[3 * number : 3 * number + 3]) / 3
        assert event.values["train/loss"] == pytest.approx(mean)


def test_the_learning_rate_is_initial_times_schedule_times_scale() -> None:
    run = tiny_run(lr_scale=0.5, plan={"log_every": 1})
    rates = [event.values["train/lr"] for event in of(list(train(run)), Stepped)]
    assert rates == pytest.approx([0.01 * 0.5 * (1 - step / 18) for step in range(9)])


def test_a_schedule_that_climbs_the_loss_is_refused() -> None:
    run = tiny_run()
    run.groups[0] = replace(run.groups[0], schedule=lambda progress: 0.5 - progress.fraction)
    with pytest.raises(RecipeError, match="schedule: its factor .* -0.05.* at step 5; a schedule"):
        list(train(run))


def two_groups(clips: tuple[float | None, float | None] = (None, None)) -> Any:
    run = tiny_run(is_plain=True, plan={"log_every": 1})
    parts = [list(run.task.model[0].parameters()), list(run.task.model[-1].parameters())]
    groups = [
        TrainedGroup(
            torch.optim.AdamW([{"params": part, "initial_lr": rate}], lr=rate, fused=True),
            lambda _: 1.0,
            clip,
            name,
        )
        for part, rate, name, clip in zip(
            parts, (0.01, 0.002), ("body", "head"), clips, strict=True
        )
    ]
    object.__setattr__(run, "groups", groups)
    return run


def test_groups_have_a_rate_and_a_norm_of_their_own() -> None:
    values = of(list(train(two_groups())), Stepped)[0].values
    assert values["train/lr"] == values["train/lr/body"] == 0.01
    assert values["train/lr/head"] == 0.002
    both = math.hypot(values["train/grad_norm/body"], values["train/grad_norm/head"])
    assert values["train/grad_norm"] == pytest.approx(both)


def test_a_rate_of_a_groups_own_is_not_scaled() -> None:
    run = two_groups()
    first, second = run.groups
    object.__setattr__(run, "groups", [first, replace(second, is_scaled=False)])
    object.__setattr__(run, "lr_scale", 0.5)
    values = of(list(train(run)), Stepped)[0].values
    assert (values["train/lr/body"], values["train/lr/head"]) == (0.005, 0.002)


def test_one_groups_clipping_leaves_the_other_alone() -> None:
    free, clipped = two_groups(), two_groups((None, 1e-3))
    for run in (free, clipped):
        object.__setattr__(run, "plan", free.plan.__class__(**{**vars(free.plan), "steps": 1}))
        list(train(run))
    assert torch.equal(free.task.model[0].weight, clipped.task.model[0].weight)


def test_best_is_the_best_of_the_monitored_metric(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, plan={"epochs": 6}, monitor=Monitor("val/accuracy", "max"))
    evaluated = of(list(train(run)), Evaluated)
    best = -1.0
    for event in evaluated:
        assert event.is_best == (event.values["val/accuracy"] > best)
        best = max(best, event.values["val/accuracy"])
    assert run.memory.best is not None
    assert run.memory.best.value == best
    named = (tmp_path / "best").read_text().strip()
    assert named == f"step-{run.memory.best.step:08d}.pt"


class Given:
    """A metric with the values it was given."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = iter(values)

    def __call__(self) -> list["Given"]:
        self.value = next(self.values)
        return [self]

    def update(self, outputs: Any, batch: Any) -> None:
        del outputs, batch

    def state(self) -> None:
        return None

    def compute(self, states: Sequence[Any]) -> dict[str, float]:
        del states
        return {"given": self.value}


def given(values: Sequence[float], mode: Any = "max", **changes: Any) -> list[Event]:
    plan = {"epochs": len(values)}
    monitor = Monitor("val/given", mode)
    return list(train(tiny_run(plan=plan, metrics=Given(values), monitor=monitor, **changes)))


def test_what_is_not_finite_is_never_best() -> None:
    events = of(given([math.nan, 0.2, math.inf, 0.1, 0.3]), Evaluated)
    assert [event.is_best for event in events] == [False, True, False, False, True]


def test_smaller_can_be_better() -> None:
    events = of(given([3.0, -math.inf, 2.0, 2.5], mode="min"), Evaluated)
    assert [event.is_best for event in events] == [True, False, True, False]


def test_early_stopping_waits_for_its_patience_and_says_it_in_steps() -> None:
    values = [0.1, 0.5, 0.505, 0.2, 0.1, 0.9]
    events = given(values, early_stopping=EarlyStopping(patience=3, min_delta=0.01))
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (finished.state, finished.step) == ("done", 15)
    assert "val/given has not improved for 3 evaluations (9 steps)" in finished.reason


def test_plateau_schedules_see_the_monitored_values() -> None:
    seen: list[Progress] = []
    run = tiny_run(plan={"epochs": 3})
    group = run.groups[0]
    object.__setattr__(
        run, "groups", [TrainedGroup(group.optimizer, lambda p: seen.append(p) or 1.0)]
    )
    evaluated = of(list(train(run)), Evaluated)
    assert seen[0].monitored == ()
    assert seen[-1].monitored == tuple((e.epoch, e.values["val/loss"]) for e in evaluated[:2])


class NotYet(Accuracy):
    """Gives nothing before the second evaluation, and says why."""

    evaluations = 0

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why

    def compute(self, states: Any) -> dict[str, float]:
        NotYet.evaluations += 1
        return super().compute(states) if NotYet.evaluations > 1 else {}

    def why_absent(self, name: str, states: Any) -> str | None:
        assert len(states) == 1
        return self.why if name == "accuracy" else None


def monitoring_what_is_not_there_yet(why: str, metric: str = "val/accuracy") -> Any:
    NotYet.evaluations = 0
    return tiny_run(monitor=Monitor(metric, "max"), metrics=lambda: [NotYet(why)])


def test_a_figure_that_may_still_come_does_not_end_the_training() -> None:
    events = list(train(monitoring_what_is_not_there_yet("")))
    evaluated = [event for event in events if isinstance(event, Evaluated)]
    assert ["val/accuracy" in event.values for event in evaluated] == [False, True, True]
    assert [event.is_best for event in evaluated][:2] == [False, True]


def test_a_figure_that_the_split_rules_out_is_the_datas_fault_and_says_why() -> None:
    with pytest.raises(DataError, match="val/accuracy does not exist: no pixel; split the data"):
        list(train(monitoring_what_is_not_there_yet("no pixel")))
    with pytest.raises(RecipeError, match="no metric is called 'val/miou'"):
        list(train(monitoring_what_is_not_there_yet("no pixel", "val/miou")))


def test_a_missing_monitored_metric_lists_those_there_are() -> None:
    run = tiny_run(monitor=Monitor("val/miou", "max"))
    with pytest.raises(RecipeError, match=r"monitor.metric: .*'val/miou'.*val/loss, val/accuracy"):
        list(train(run))


class Computing(Accuracy):
    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found

    def compute(self, _: list[tuple[int, int]]) -> Any:
        return self.found


@pytest.mark.parametrize("found", [None, 0.5, {"accuracy": "high"}, {1: 0.5}])
def test_a_metric_that_computes_no_figures_is_told_so(found: Any) -> None:
    run = tiny_run(metrics=lambda: [Computing(found)])
    with pytest.raises(RecipeError, match="metrics.0: computed .*; return figures by name"):
        list(train(run))


def test_two_metrics_of_one_name_are_refused() -> None:
    run = tiny_run(metrics=lambda: [Accuracy(), Accuracy()])
    with pytest.raises(RecipeError, match="two metrics are called val/accuracy"):
        list(train(run))


def test_the_validation_loss_is_the_mean_over_samples() -> None:
    run = tiny_run(is_plain=True)
    values, _ = evaluate(run)
    run.task.eval()
    with torch.no_grad():
        losses = [
            float(sum(run.task(batch, Progress(0, 0, 0)).values())) * len(batch)
            for batch in run.val_batches or ()
        ]
    assert values["val/loss"] == pytest.approx(sum(losses) / 5)


def test_an_evaluation_leaves_the_training_as_it_was() -> None:
    often = trained(plan={"evaluate_every_steps": 1})
    seldom = trained(plan={"evaluate_every_steps": 9})
    for name, value in often.task.state_dict().items():
        assert torch.equal(value, seldom.task.state_dict()[name]), name


def test_an_empty_validation_split_is_the_datas_fault() -> None:
    with pytest.raises(DataError, match="validation split is empty"):
        list(train(tiny_run(val_batches=[])))


def test_averaged_weights_are_what_is_evaluated_where_the_recipe_says_so(tmp_path: Path) -> None:
    results = {}
    for choice in (True, False):
        run = tiny_run(tmp_path / str(choice), ema_evaluate=choice, ema_decay=0.999)
        results[choice] = of(list(train(run)), Evaluated)[-1].values["val/loss"]
        state = torch.load(tmp_path / str(choice) / "step-00000009.pt", weights_only=True)
        fresh = tiny_run(ema_decay=None)
        fresh.task.load_state_dict(evaluated_weights(state))
        assert evaluate(fresh)[0]["val/loss"] == results[choice]
    assert results[True] != results[False]


def rule(level: Any, *, stops_at: int = 99) -> Any:
    def judge(history: History) -> list[Finding]:
        step = round(history.progress.step)
        stops = step >= stops_at
        chosen = "critical" if stops else level(step)
        return [
            Finding(rule="mine", level=chosen, message=f"at {step}", stops=stops, step=0, epoch=0)
        ]

    return judge


def test_a_finding_is_passed_on_only_when_its_level_changed() -> None:
    judge = rule(lambda step: "good" if step < 4 or step > 6 else "warning")
    findings = of(list(train(tiny_run(health=[judge]))), Finding)
    assert [(f.step, f.level) for f in findings] == [(2, "good"), (4, "warning"), (8, "good")]
    assert findings[0].epoch == pytest.approx(2 / 3)


def test_a_stopping_finding_saves_and_ends_the_training(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, health=[rule(lambda _: "good", stops_at=4)])
    events = list(train(run))
    assert [type(event) for event in events[-3:]] == [Finding, Saved, Finished]
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (finished.state, finished.step, finished.reason) == ("stopped", 4, "at 4")


def test_checkpoints_between_evaluations(tmp_path: Path) -> None:
    events = list(train(tiny_run(tmp_path, save_every_steps=2)))
    assert [event.step for event in of(events, Saved)] == [2, 3, 4, 6, 8, 9]


def test_without_a_validation_split_there_is_no_evaluation(tmp_path: Path) -> None:
    events = list(train(tiny_run(tmp_path, val_batches=None)))
    assert of(events, Evaluated) == []
    assert of(events, Saved)[-1].step == 9


def test_exhausted_memory_names_what_keeps_the_effective_batch() -> None:
    def exhausted(start: int) -> Any:
        raise torch.OutOfMemoryError(f"tried to allocate at {start}")

    with pytest.raises(MachineError, match="batch_size: 3 and train.accumulate: 6 keep"):
        list(train(tiny_run(train_batches=exhausted, batch_size=6, accumulate=3)))


def test_one_seed_gives_one_training() -> None:
    weights = []
    for _ in range(2):
        seed_everything(3, deterministic=True)
        run = tiny_run()
        list(train(run))
        weights.append(run.task.state_dict())
    torch.use_deterministic_algorithms(False)
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_channels_last_changes_the_layout_and_not_the_result() -> None:
    plain, last = trained(is_plain=True), trained(is_plain=True, channels_last=True)
    assert last.task.model[0].weight.is_contiguous(memory_format=torch.channels_last)
    for name, value in plain.task.state_dict().items():
        torch.testing.assert_close(last.task.state_dict()[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_compiled_training_is_the_same_training() -> None:
    plain, compiled = trained(is_plain=True), trained(is_plain=True, compile=True)
    assert list(compiled.task.state_dict()) == list(plain.task.state_dict())
    for name, value in plain.task.state_dict().items():
        torch.testing.assert_close(compiled.task.state_dict()[name], value, rtol=1e-3, atol=1e-4)
