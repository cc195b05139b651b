"""Two processes on the CPU, started as torchrun starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run_two(script: str, *arguments: str, cwd: Path | None = None) -> list[tuple[int, str]]:
    """Run a script in both; return exit code and standard error of each, in order of rank.

    Args:
        script: Python; its ``sys.argv`` holds the arguments, and tiny_training can be imported.
        arguments: of the script.
        cwd: where it runs; the repository where None.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    here = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            env={**os.environ, **here, "PYTHONPATH": path, "RANK": rank, "LOCAL_RANK": rank},
            cwd=cwd or HERE.parents[1],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    try:
        errors = [process.communicate(timeout=200)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, error) for process, error in zip(started, errors, strict=True)]
