"""How long the commands take that need no torch, against ``import pydantic, omegaconf`` alone.

    PYTHONPATH=. python tests/bench/startup.py [ROUNDS]

Whole processes, one of each kind in turn, so that a busy machine slows all of them alike. CPU time
is user and system together; wall time is shown beside it.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
YARDSTICK = ["-c", "import pydantic, omegaconf"]
BOUNDS = {
    "--help": 1.0,
    "list": 1.0,
    "validate uav_fixed": 2.0,
    "validate uav_baseline uav_fixed": 2.0,
    "diff uav_baseline uav_fixed": 2.0,
    "validate": 4.0,
}
"""Command, and how many yardsticks it may take."""


def run_once(words: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of one process."""
    # A checkout that cannot keep its byte code would be compiled anew each time.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # of lints, validate tells there
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (words, process.returncode)
    return usage.ru_utime + usage.ru_stime, wall


def main(rounds: int) -> None:
    commands = {"": YARDSTICK, **{text: ["-m", "runner", *text.split()] for text in BOUNDS}}
    times: dict[str, list[tuple[float, float]]] = {text: [] for text in commands}
    for number in range(rounds + 1):
        for text, words in commands.items():
            seconds = run_once(words)
            if number:  # the first round fills the disk's cache and compiles
                times[text].append(seconds)
    cpu, wall = (
        {text: statistics.median(each[kind] for each in found) for text, found in times.items()}
        for kind in (0, 1)
    )
    print(f"{YARDSTICK[1]}: {cpu['']:.3f} s of CPU, {wall['']:.3f} s; medians of {rounds}")
    for text, most in BOUNDS.items():
        ratios = (cpu[text] / cpu[""], wall[text] / wall[""])
        verdict = "ok" if max(ratios) <= most else "OVER"
        print(
            f"runner {text:32} {cpu[text]:.3f} s of CPU = {ratios[0]:.2f}x, "
            f"{wall[text]:.3f} s = {ratios[1]:.2f}x (at most {most:g}x) {verdict}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
