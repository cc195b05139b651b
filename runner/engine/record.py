"""What ``run.json`` says of a run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from runner.errors import DataError, Problem
from runner.language.document import dotted

State = Literal["running", "done", "stopped", "failed", "preempted"]
Scale = Literal["full", "sample", "smoke"]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What ``run.json`` says.

    Attributes:
        id: names the run among all runs, as trackers want it.
        recipe, version: the recipe's name, and its version where it is published.
        recipe_fingerprint: of the recipe as written, resolved, without data root, seed and prose.
        run_fingerprint: after overlays, overrides, seed and data; what a checkpoint carries.
        overrides: ``--set`` values as they were written.
        plugins: file name to sha256.
        scale: whether the embedded sample or a smoke test shrank the recipe.
        seed: of the run.
        git_revision, is_dirty: of the checkout, where there is one.
        packages: name to version.
        device: what was trained on, in words.
        data_fingerprint: of the files that were read.
        measured: figures of the training split that the recipe took ``from_data``.
        extended_from: ``run`` and ``step`` that a longer plan went on from.
        started, ended: ISO 8601, in UTC.
        state, reason, exit_code: how it is going, or how it ended.
        best: metric, value, step, checkpoint.
        expectations: metric, wanted, got, met.
        health: findings of each level.
    """

    id: str
    recipe: str
    version: int | None = None
    recipe_fingerprint: str = ""
    run_fingerprint: str = ""
    overrides: Sequence[str] = field(default_factory=list)
    plugins: Mapping[str, str] = field(default_factory=dict)
    scale: Scale = "full"
    seed: int = 0
    git_revision: str | None = None
    is_dirty: bool | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    data_fingerprint: str = ""
    measured: Mapping[str, Sequence[float]] = field(default_factory=dict)
    extended_from: Mapping[str, Any] | None = None
    started: str = ""
    ended: str | None = None
    state: State = "running"
    reason: str = ""
    exit_code: int | None = None
    best: Mapping[str, Any] | None = None
    expectations: Sequence[Mapping[str, Any]] = field(default_factory=list)
    health: Mapping[str, int] = field(default_factory=dict)


def read_run(path: Path) -> RunRecord | None:
    """Return what a folder says about its run; None where no run was begun in it.

    Raises: DataError: ``run.json`` is damaged, or a newer runner wrote it.
    """
    file = path / "run.json"
    try:
        written = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, NotADirectoryError, IsADirectoryError) as error:
        raise DataError(Problem(str(file), "", "is no record of a run; name another")) from error
    known = {each.name for each in fields(RunRecord)}
    if not isinstance(written, dict) or not {"id", "recipe"} <= written.keys():
        raise DataError(Problem(str(file), "", "is no record of a run; name another"))
    unknown = [
        Problem(str(file), key, "is unknown here: a newer runner wrote it; update this one")
        for key in written
        if key not in known
    ]
    if unknown:
        raise DataError(unknown)
    try:
        return TypeAdapter(RunRecord).validate_python(written)
    except ValidationError as error:
        raise DataError(
            Problem(
                str(file),
                dotted(each["loc"]),
                f"{each['msg'].removeprefix('Input ')}; restore the file from a copy",
            )
            for each in error.errors(include_url=False)
        ) from error
