import pickle

import pytest

from runner.errors import DataError, MachineError, Problem, RecipeError


class Own(DataError):
    def __init__(self, path: str, lock: object) -> None:
        super().__init__(Problem(path, "", "is broken"))
        self.lock = lock


@pytest.mark.parametrize("kind", [RecipeError, DataError, MachineError])
def test_errors_travel_between_processes(kind):
    error = kind([Problem("a.yaml", "data", "is wrong"), Problem("b.yaml", "", "too")])
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is kind
    assert other.problems == error.problems


def test_an_error_of_a_kind_of_ones_own_travels_as_the_kind_of_ours_that_it_is():
    other = pickle.loads(pickle.dumps(Own("a.png", lock=lambda: None)))
    assert type(other) is DataError
    assert str(other) == "a.png: is broken"
