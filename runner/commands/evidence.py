"""Train every version of a scenario on its embedded sample and table which is which."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from runner import render
from runner.insight.evidence import Trial, metrics_of, rows, run_trials, versions

EXAMPLE = "runner evidence uav --seeds 0 1 2"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scenario", metavar="SCENARIO", help="uav, ...")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    parser.add_argument(
        "--generator-seeds", type=int, nargs="+", default=[7], metavar="N",
        help="other samples to train on as well, with the first seed (default 7)",
    )  # fmt: skip
    parser.add_argument("--recipes", nargs="+", metavar="RECIPE", help="only these")
    parser.add_argument("--out", type=Path, default=Path("runs/evidence"), metavar="DIR")
    parser.add_argument(
        "--jobs", type=int, choices=range(1, 65), default=2, metavar="N", help="trainings at a time"
    )
    parser.add_argument("--set", action="append", default=[], metavar="K=V", help="for all of them")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Train, print the table; exit code 4 where an expectation is not met."""
    recipes = arguments.recipes or versions(arguments.scenario)
    root = f"sample:{arguments.scenario}"
    trials = [
        *(Trial(name, seed, root) for name in recipes for seed in arguments.seeds),
        *(
            Trial(name, arguments.seeds[0], f"{root}:{generator}")
            for name in recipes
            for generator in arguments.generator_seeds
        ),
    ]
    shown = []
    for each in run_trials(trials, arguments.out, jobs=arguments.jobs, sets=arguments.set):
        shown.append(each)
        render.note(f"{len(shown)}/{len(trials)} {each.trial.folder}: {each.seconds:.0f} s")
    shown.sort(key=lambda each: recipes.index(each.trial.recipe))
    if arguments.json:
        render.show(json.dumps([asdict(each) for each in shown], indent=2))
    else:
        render.show(render.markdown(rows(shown, metrics_of(recipes))))
    return 0 if all(row["met"] for each in shown for row in each.expectations) else 4
