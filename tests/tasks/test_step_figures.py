import math

import pytest
import torch

from runner.tasks.step_figures import StepFigures


def test_figures_of_one_batch_are_left_as_they_are():
    figures = StepFigures("count")
    given = {"count": torch.tensor(3), "share": torch.tensor(0.5)}
    figures.note(given)
    assert figures.take() is given


def test_a_step_of_several_batches_adds_counts_and_averages_what_is_known():
    figures = StepFigures("count")
    for count, share, once in ((3, 0.5, math.nan), (5, 0.1, 0.25)):
        noted = {"count": torch.tensor(count), "share": share, "once": once, "never": math.nan}
        figures.note({name: torch.as_tensor(value) for name, value in noted.items()})
    found = {name: float(value) for name, value in figures.take().items()}
    assert math.isnan(found.pop("never"))
    assert found == pytest.approx({"count": 8, "share": 0.3, "once": 0.25})


def test_each_step_starts_anew():
    figures = StepFigures()
    figures.note({"share": torch.tensor(0.5)})
    figures.take()
    assert figures.take() == {}
