"""Train every version of a scenario on its embedded sample and table what each shows."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import Problem, RecipeError
from runner.language.load import load
from runner.language.source import published


@dataclass(frozen=True)
class Trial:
    """One training of the evidence.

    Attributes:
        recipe: its name.
        seed: of the run.
        sample: root of the embedded sample, ``sample:uav`` or, of another generator seed,
            ``sample:uav:7``.
    """

    recipe: str
    seed: int
    sample: str

    @property
    def folder(self) -> str:
        """Name of its run folder."""
        return f"{self.recipe}-{self.sample.replace(':', '_')}-seed{self.seed}"


@dataclass(frozen=True)
class Shown:
    """What a trial showed.

    Attributes:
        trial: which.
        exit_code: of its process.
        seconds: of the training.
        values: the last evaluation's metrics.
        expectations: rows of ``run.json``.
        findings: what critical findings said, the earliest first.
    """

    trial: Trial
    exit_code: int
    seconds: float
    values: dict[str, float]
    expectations: list[dict[str, Any]]
    findings: list[str]


def versions(scenario: str) -> list[str]:
    """Return the recipes of a scenario that expect something at sample scale, bases first.

    Raises: RecipeError: there are none.
    """
    found = []
    for name in published():
        loaded = load(name)
        if loaded.recipe.scenario == scenario and metrics_of([name]):
            found.append((len(loaded.source.chain), name))
    if not found:
        message = (
            "no recipe of this scenario expects anything at sample scale; "
            "name others with --recipes"
        )
        raise RecipeError(Problem(scenario, "", message))
    return [name for _, name in sorted(found)]


def metrics_of(recipes: Sequence[str]) -> list[str]:
    """Return the metrics that these recipes expect something of at sample scale."""
    names = (
        each.metric
        for recipe in recipes
        for each in load(recipe).recipe.expect
        if each.scale == "sample"
    )
    return list(dict.fromkeys(names))


def run_trials(
    trials: Sequence[Trial], out: Path, *, jobs: int, sets: Sequence[str] = ()
) -> Iterator[Shown]:
    """Train each trial in a process of its own and yield what it showed, in order of the trials.

    Args:
        trials: what to train.
        out: folder of the run folders; a trial that is there and done is not trained again.
        jobs: processes at a time, each with one share of the cores.
        sets: ``--set`` texts for all of them.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}

    def train(trial: Trial) -> Shown:
        folder = out / trial.folder
        words = [sys.executable, "-m", "runner", "train", trial.recipe, "--resume", "auto"]
        words += ["--data", trial.sample, "--seed", str(trial.seed), "--out", str(folder)]
        words += [word for each in sets for word in ("--set", each)]
        done = subprocess.run(words, capture_output=True, text=True, env=environment)
        return read_shown(trial, folder, done.returncode, done.stderr)

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(train, trials)


def read_shown(trial: Trial, folder: Path, exit_code: int, complaint: str = "") -> Shown:
    """Return what a trial's run folder shows.

    Raises: RecipeError: the training could not be run; its complaint is passed on.
    """
    if exit_code not in (0, 4, 5) or not (folder / "metrics.csv").exists():
        message = f"training ended with exit code {exit_code}: {complaint.strip()[-2000:]}"
        raise RecipeError(Problem(str(folder), "", message))
    record = json.loads((folder / "run.json").read_text())
    with (folder / "metrics.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    findings = [
        f"step {each['step']}: {each['message']}"
        for each in events
        if each["type"] == "finding" and each["level"] == "critical"
    ]
    return Shown(
        trial,
        exit_code,
        events[-1]["time_s"],
        {key: float(value) for key, value in last.items() if value},
        record["expectations"],
        findings,
    )


def rows(shown: Sequence[Shown], metrics: Sequence[str]) -> list[list[str]]:
    """Return a table: a row for each trial, and whether its recipe's expectations were met."""
    head = ["recipe", "seed", "sample", *metrics, "expected", "met", "seconds"]
    table = [head]
    for each in shown:
        wanted = "; ".join(f"{row['metric']} {row['wanted']}" for row in each.expectations)
        met = all(row["met"] for row in each.expectations)
        values = [f"{each.values[m]:.3f}" if m in each.values else "-" for m in metrics]
        trial = each.trial
        sample = trial.sample.removeprefix("sample:")
        table.append(
            [trial.recipe, str(trial.seed), sample, *values, wanted, "yes" if met else "NO",
             f"{each.seconds:.0f}"]
        )  # fmt: skip
    return table
