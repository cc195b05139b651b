"""What the runner tells its user when something is wrong; the exit code says whose fault it is.

RunnerError
├── RecipeError    2  the recipe, or the command, is wrong
├── DataError      3  the data are wrong
├── HealthError    5  a critical finding stopped the training
├── FolderInUse    6  another process writes to the run folder
└── MachineError   7  no such device, out of memory, disk full, folder not writable
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where to mend it.

    Attributes:
        place: ``file:line``, a data file, ``--set KEY=VALUE`` or the name of a device.
        key: the recipe's key, ``task.params.loss.params.gamma``; empty where there is none.
        message: what is wrong, then the cure.
    """

    place: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.key, self.message) if part)


class RunnerError(Exception):
    """An error that is not a bug of ours; it is shown without a traceback."""

    exit_code = 1

    def __init__(self, problems: Iterable[Problem] | Problem) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        assert self.problems, "an error names at least one problem"
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type["RunnerError"], tuple[tuple[Problem, ...]]]:
        # Errors travel between processes by pickle. A plugin's own kind, which may hold anything,
        # arrives as the kind of ours that it is.
        kind = next(each for each in type(self).__mro__ if each.__module__ == __name__)
        return kind, (self.problems,)


class RecipeError(RunnerError):
    """Every problem found in a recipe or on the command line, reported together."""

    exit_code = 2


class DataError(RunnerError):
    """Every problem found in the data, each naming its file."""

    exit_code = 3


class HealthError(RunnerError):
    """A critical finding stopped the training."""

    exit_code = 5


class FolderInUse(RunnerError):
    """Another process writes to this run folder."""

    exit_code = 6


class MachineError(RunnerError):
    """The machine cannot do what the recipe asks for."""

    exit_code = 7


def joined(errors: Sequence[RunnerError]) -> RunnerError:
    """Return errors as one that has each problem once, of the kind of the first not about data.

    What is wrong with the recipe or the machine is wrong with every sample: it is told alone.
    """
    kind = next((type(e) for e in errors if not isinstance(e, DataError)), DataError)
    alike = [problem for e in errors if isinstance(e, kind) for problem in e.problems]
    return kind(dict.fromkeys(alike))
