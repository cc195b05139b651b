"""Items are looked at in their order, in one process or several."""

import os

import pytest

from runner.errors import DataError, Problem
from runner.insight.spread import processes_for, spread


def squared(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def refused(number: int) -> int:
    if number == 30:
        raise DataError(Problem("30.png", "", "is truncated"))
    return number


def test_several_processes_answer_in_order():
    answers = list(spread(squared, range(100), processes=2))
    assert [square for square, _ in answers] == [number**2 for number in range(100)]
    assert os.getpid() not in {process for _, process in answers}


def test_error_of_another_process_keeps_its_file():
    with pytest.raises(DataError, match=r"30\.png: is truncated"):
        list(spread(refused, range(100), processes=2))


def test_few_items_are_looked_at_in_this_process():
    assert processes_for(20, None) == 1
    assert processes_for(100_000, 0) == 1
    assert processes_for(100_000, 3) == 3
    assert {process for _, process in spread(squared, range(20), processes=1)} == {os.getpid()}
