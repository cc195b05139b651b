"""What a user asks of one run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.language.load import Loaded
from runner.language.machine import Machine


def _no_rows(_: Mapping[str, float], __: Mapping[str, float]) -> list[dict[str, Any]]:
    return []


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        loaded: the recipe.
        machine: the machine's profile.
        out: the run folder; a new one under the profile's ``runs`` where None.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        plugins: files with own parts, loaded already.
        plugin_hashes: their sha256 by name.
        trackers: names; TensorBoard by default.
        resumes: whether ``out`` holds a run to continue.
        stop_requested: asked at each step; True ends the run as preempted.
        judge: holds the last and the best evaluation against what the recipe expects; its rows
            go to ``run.json``, each with ``met``.
        is_strict: whether an unmet expectation is an error.
        warn: told what the user should know and need not mend.
    """

    loaded: Loaded
    machine: Machine = field(default_factory=Machine)
    out: Path | None = None
    device: str = "auto"
    plugins: Sequence[Path] = ()
    plugin_hashes: Mapping[str, str] = field(default_factory=dict)
    trackers: Sequence[str] = ("tensorboard",)
    resumes: bool = False
    stop_requested: Callable[[], bool] = lambda: False
    judge: Callable[[Mapping[str, float], Mapping[str, float]], list[dict[str, Any]]] = _no_rows
    is_strict: bool = False
    warn: Callable[[str], None] = lambda _: None
