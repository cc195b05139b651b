"""What belongs to a machine and not to a recipe: folders, workers, device.

A profile is outside of every fingerprint. It is a YAML file given by ``--machine`` or named by
the environment variable RUNNER_MACHINE.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from runner.errors import MachineError, Problem, RecipeError
from runner.language.document import Place, parse
from runner.language.overlay import Source
from runner.language.wording import problems_of
from runner.registry import Strict, suggestion


def _of_a_user(text: str) -> str:
    """Refuse ``~nobody/data`` where the machine has no such user.

    Raises: ValueError: it has none.
    """
    expanded(text)
    return text


Folder = Annotated[str, AfterValidator(_of_a_user)]


class Machine(Strict):
    """The values of a machine profile."""

    data: Annotated[dict[str, Folder], Field(description="data roots by name")] = {}
    workers: Annotated[
        int | None, Field(ge=0, description="loader processes; by default by cores")
    ] = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    runs: Annotated[Folder, Field(description="folder of the run folders")] = "runs"
    cache: Annotated[Folder, Field(description="folder of what is derived from data")] = (
        "~/.cache/runner"
    )

    @property
    def cache_folder(self) -> Path:
        """The cache folder, created."""
        folder = expanded(self.cache)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                Problem(
                    str(folder),
                    "cache",
                    f"cannot be written: {error.strerror}; set cache in a machine profile",
                )
            ) from error
        return folder

    def root(self, name: str) -> Path:
        """Return the folder that a recipe's data root means.

        Args:
            name: a name of ``data``, or a path.
        Raises: RecipeError: neither; the nearest name is suggested.
        """
        if name in self.data:
            return expanded(self.data[name])
        if not name:
            message = "is empty; write a folder, or . for the one you are in"
            raise RecipeError(Problem("", "data.params.root", message))
        try:
            folder = expanded(name)
        except ValueError as error:
            raise RecipeError(Problem("", "data.params.root", str(error))) from error
        if not folder.exists() and self.data:
            hint = suggestion(name, self.data)
            raise RecipeError(
                Problem(
                    "",
                    "data.params.root",
                    f"{name} is no folder, nor a data root of this machine; {hint}",
                )
            )
        return folder


def expanded(text: str) -> Path:
    """Return a path with ``~`` replaced by the home folder.

    Raises: ValueError: there is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = Path(text).parts[0].removeprefix("~")
        who = f"no user {user!r}" if user else "no home folder"
        raise ValueError(f"this machine has {who}; write the path in full") from None


def machine_in_use(file: Path | None = None) -> Machine:
    """Read the profile that the command line names, else the one that RUNNER_MACHINE names.

    Raises: RecipeError: it cannot be read, or a value is wrong.
    """
    profile = file or os.environ.get("RUNNER_MACHINE")
    return read_machine(Path(profile) if profile else None)


def read_machine(path: Path | None) -> Machine:
    """Read a machine profile; the defaults without one.

    Raises: RecipeError: it cannot be read, or a value is wrong.
    """
    if path is None:
        return Machine()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        message = f"the machine profile cannot be read: {reason}; name another with --machine"
        raise RecipeError(Problem(str(path), "", message)) from error
    document = parse(text, str(path))
    source = Source(document.data or {}, {(): Place(str(path), 1), **document.places})
    try:
        return Machine.model_validate(source.data)
    except ValidationError as error:
        raise RecipeError(problems_of(error, source)) from None
