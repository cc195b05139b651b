"""Write an embedded sample in the real on-disk format of its scenario."""

import argparse
from pathlib import Path

from runner import render
from runner.counting import number_of
from runner.errors import MachineError, Problem, RecipeError

EXAMPLE = "runner sample uav --out data/uav_sample"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("scenario", metavar="SCENARIO", help="uav, ...")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="a new or empty folder"
    )
    parser.add_argument(
        "--seed",
        type=int,
        choices=range(2**16),
        metavar="N",
        default=1,
        help="of the generator (default 1, as in sample:uav)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the files and say how to train on them."""
    from runner.data.samples import write_sample

    out: Path = arguments.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RecipeError(
            Problem(str(out), "--out", "exists already; name a new or an empty folder")
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_sample(arguments.scenario, out, arguments.seed)
    except OSError as error:
        raise MachineError(
            Problem(
                str(out),
                "--out",
                f"cannot be written: {error.strerror}; free space, or name another folder",
            )
        ) from error
    count = sum(1 for each in out.rglob("*") if each.is_file())
    render.show(f"{number_of(count, 'files')} in {out}")
    return 0
