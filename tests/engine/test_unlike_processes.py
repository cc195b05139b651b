"""Two processes whose shares, figures, statistics or faults differ; also their script."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import SPEC, TinySplit, tiny_run
from torch import Tensor, nn
from two_processes import run_two

from runner.contracts import Batch, Draw, Progress, Sample
from runner.engine.batches import evaluation_loader
from runner.engine.checkpoint import load
from runner.engine.distributed import Processes, start_processes, stop_processes
from runner.engine.evaluation import evaluate
from runner.engine.loop import Run, TrainedGroup, restore, train
from runner.engine.precision import LossScale
from runner.errors import DataError, MachineError, Problem, RunnerError
from runner.nets.segmentation_losses import Dice, Focal
from runner.task import Task

# 11 = 4 + 4 + 3 = 10 + 1: of the last batch one process has fewer samples, or none.
BATCHES = {
    "4_4_3": {"batch_size": 4, "accumulate": 1, "plan": {"steps": 6, "log_every": 1}},
    "accumulated": {"batch_size": 4, "accumulate": 3, "plan": {"steps": 2, "log_every": 1}},
    "10_1": {"batch_size": 10, "accumulate": 1, "plan": {"steps": 4, "log_every": 1}},
    "10_1_accumulated": {"batch_size": 10, "accumulate": 2, "plan": {"steps": 2, "log_every": 1}},
}
LOSSES = ("plain", "focal", "dice", "all")
NORMALISED = {"batch_size": 4, "accumulate": 1, "plan": {"steps": 6, "log_every": 1}}
PLAIN = {**NORMALISED, "is_plain": True, "val_batches": None}


class Pixels(Task):
    """Tells pixels that are darker than the channel beside them; ignores a number of them."""

    def __init__(self, kind: str) -> None:
        super().__init__(SPEC)
        self.kind = kind
        self.model = nn.Conv2d(2, 2, 3, padding=1)
        self.losses_by_name = {"focal": Focal([0.5, 2.0], 2.0), "dice": Dice(1.0)}

    def losses(self, batch: Batch, progress: Progress) -> dict[str, Tensor]:
        del progress
        logits = self.model(batch.image)
        mask = (batch.image[:, 0] > batch.image[:, 1]).long()
        mask[batch.image[:, 0] > 1] = 255
        terms = {name: loss(logits, mask) for name, loss in self.losses_by_name.items()}
        terms["plain"] = logits.square().mean()
        return terms if self.kind == "all" else {self.kind: terms[self.kind]}

    def outputs(self, batch: Batch) -> Any:
        raise AssertionError(f"{batch.ids} are not evaluated")


def run_of_pixels(kind: str, batches: str, **changes: Any) -> Run:
    torch.manual_seed(3)
    task = Pixels(kind)
    group = {"params": list(task.parameters()), "initial_lr": 0.5}
    trained = TrainedGroup(torch.optim.SGD([group], lr=0.5, fused=True), lambda _: 1.0)
    return tiny_run(
        task=task, groups=[trained], is_plain=True, val_batches=None, **BATCHES[batches], **changes
    )


class Unreadable(TinySplit):
    """One item cannot be read."""

    def load(self, draw: Draw, generator: Any) -> Sample:
        if draw.index == 3:
            raise DataError(Problem("item-3.png", "", "is truncated; replace the file"))
        return super().load(draw, generator)


def weights(run: Run) -> list[float]:
    return torch.cat([p.detach().flatten() for p in run.task.parameters()]).tolist()


def trained(run: Run) -> dict[str, Any]:
    return {"events": [event.record() for event in train(run)], "weights": weights(run)}


def raised(run: Run) -> list[Any]:
    try:
        list(train(run))
    except RunnerError as error:
        return [type(error).__name__, str(error), run.memory.step]
    return []


def scaled(run: Run) -> Run:
    object.__setattr__(run, "loss_scale", LossScale(run.device))  # as fp16 has it, on CUDA alone
    return run


def with_losses(run: Run, factor: float) -> Run:
    quiet = run.task.losses
    run.task.losses = lambda *given: {n: factor * v for n, v in quiet(*given).items()}  # type: ignore[method-assign]
    return run


def told(run: Run, **figures: float) -> Run:
    values = {name: torch.tensor(value) for name, value in figures.items()}
    run.task.figures = lambda: values  # type: ignore[method-assign]
    return run


def cases(two: Processes, folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield a name and what this process found."""
    for kind in LOSSES:
        for batches in BATCHES:
            yield f"{kind}-{batches}", trained(run_of_pixels(kind, batches, processes=two))

    run = scaled(tiny_run(processes=two, train_split=TinySplit(11, frozenset({3})), **PLAIN))
    yield "fp16, one bad sample", {**trained(run), "in_a_row": run.memory.skipped_in_a_row}
    run = scaled(tiny_run(processes=two, **PLAIN))
    run = with_losses(run, math.nan if two.rank else 1.0)
    yield "fp16, bad in one", {**trained(run), "in_a_row": run.memory.skipped_in_a_row}

    run = told(
        tiny_run(processes=two, **PLAIN), known=0.5, once=math.nan if two.rank else 0.5, no=math.nan
    )
    yield "figures", trained(run)

    for name, ema in (("statistics", None), ("averaged", 0.9)):
        out = folder / name
        out.mkdir(exist_ok=True)
        run = tiny_run(out, processes=two, ema_decay=ema, **NORMALISED)
        yield name, trained(run)

    yield "bad item", raised(tiny_run(processes=two, train_split=Unreadable(11), **PLAIN))
    looked_at = evaluation_loader(Unreadable(5), batch_size=2, rank=two.rank, world=2)
    run = tiny_run(processes=two, **{**NORMALISED, "val_batches": looked_at})
    yield "bad item of an evaluation", raised(run)
    run = tiny_run(folder / "no folder can be made here.txt", processes=two, **NORMALISED)
    yield "no checkpoint", raised(run)


def work(folder: str) -> None:
    """Be one of the two."""
    torch.set_num_threads(1)
    two = start_processes("cpu")
    if two.is_main:
        Path(folder, "no folder can be made here.txt").touch()
    two.gather("that file is there")
    found = dict(cases(two, Path(folder)))
    Path(folder, f"{two.rank}.json").write_text(json.dumps(found))
    stop_processes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unlike")
    ended = run_two("import sys, test_unlike_processes as t; t.work(sys.argv[1])", str(out))
    assert [code for code, _ in ended] == [0, 0], ended
    return out


@pytest.fixture(scope="module")
def found(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def values_of(case: dict[str, Any], kind: str = "stepped") -> list[dict[str, float]]:
    return [event["values"] for event in case["events"] if event["type"] == kind]


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("kind", LOSSES)
def test_unequal_shares_train_as_one_process(
    found: list[dict[str, Any]], kind: str, batches: str
) -> None:
    run = run_of_pixels(kind, batches)
    one, name = trained(run), f"{kind}-{batches}"
    for other in found:
        assert other[name]["weights"] == pytest.approx(one["weights"], rel=1e-4, abs=1e-6)
    for ours, theirs in zip(values_of(one), values_of(found[0][name]), strict=True):
        assert theirs == pytest.approx(ours, rel=1e-4)


@pytest.mark.parametrize("case", ["fp16, one bad sample", "fp16, bad in one"])
def test_with_a_loss_scale_all_processes_judge_a_step_alike(
    found: list[dict[str, Any]], case: str
) -> None:
    one, other = (each[case] for each in found)
    assert one["weights"] == other["weights"]
    assert one["in_a_row"] == other["in_a_row"]
    assert any(event["type"] == "finding" for event in one["events"])


def test_a_loss_that_is_not_finite_in_one_process_stops_all(found: list[dict[str, Any]]) -> None:
    case = found[0]["fp16, bad in one"]
    assert (case["events"][-1]["state"], case["events"][-1]["step"]) == ("stopped", 3)
    assert case["in_a_row"] == 3


def test_a_figure_is_the_mean_of_the_processes_that_know_it(found: list[dict[str, Any]]) -> None:
    for values in values_of(found[0]["figures"]):
        assert (values["train/known"], values["train/once"]) == (0.5, 0.5)
        assert math.isnan(values["train/no"])


@pytest.mark.parametrize(("name", "ema"), [("statistics", None), ("averaged", 0.9)])
def test_an_evaluation_by_two_is_that_of_the_checkpoint_by_one(
    folder: Path, found: list[dict[str, Any]], name: str, ema: float | None
) -> None:
    run = tiny_run(ema_decay=ema, **NORMALISED)
    kept = load(folder / name)
    assert kept is not None
    restore(run, kept.state)
    wanted = evaluate(run)[0]
    assert values_of(found[0][name], "evaluated")[-1] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("case", "kind", "text"),
    [
        ("bad item", DataError, "item-3.png: is truncated; replace the file"),
        ("bad item of an evaluation", DataError, "item-3.png: is truncated; replace the file"),
        ("no checkpoint", MachineError, "no folder can be made here.txt"),
    ],
)
def test_an_error_of_one_process_is_raised_in_all_at_the_same_step(
    found: list[dict[str, Any]], case: str, kind: type[RunnerError], text: str
) -> None:
    one, other = (each[case] for each in found)
    assert one == other
    assert one[0] == kind.__name__
    assert text in one[1]


def test_a_step_is_judged_by_the_loss_scale_of_that_step() -> None:
    run = scaled(tiny_run(**{**PLAIN, "plan": {"steps": 2, "log_every": 2}}))
    assert run.loss_scale is not None
    run.loss_scale.value.fill_(2.0)
    next(run.task.parameters()).register_hook(lambda gradient: gradient * math.inf)
    messages = [e.message for e in train(run) if e.record()["type"] == "finding"]  # type: ignore[attr-defined]
    # The first step overflowed at 2, which may be too large; the second at 1, which is not.
    assert len(messages) == 1
    assert "in 1 of 2 steps" in messages[0]
