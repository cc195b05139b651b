"""What a run was made with: code revision, packages, device."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from runner.errors import MachineError, Problem

_PACKAGES = (
    "training-recipe-runner",
    "torch",
    "torchvision",
    "timm",
    "segmentation-models-pytorch",
    "albumentations",
    "opencv-python-headless",
    "numpy",
    "pydantic",
)


def packages() -> dict[str, str]:
    """Return the versions of what decides a run's numbers, Python's own included."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Return the revision of a checkout and whether it has changes; None where there is no git."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    status = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "HEAD"), None if status is None else bool(status)


def pick_device(asked: str, local_rank: int = 0) -> torch.device:
    """Return the device to train on.

    Args:
        asked: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        local_rank: of this process on its machine.
    Raises: MachineError: there is no such device.
    """
    has_mps = torch.backends.mps.is_available()
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    if asked == "cuda" and not torch.cuda.is_available():
        message = "this machine has no CUDA device, or torch no CUDA; use --device cpu"
        raise MachineError(Problem("cuda", "--device", message))
    if asked == "mps" and not has_mps:
        raise MachineError(Problem("mps", "--device", "there is no MPS device; use --device cpu"))
    return torch.device(asked, local_rank) if asked == "cuda" else torch.device(asked)


def device_words(device: torch.device) -> str:
    """Return a device in words, for ``run.json``."""
    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    processor = platform.processor() or platform.machine()
    return f"{device.type} {processor}, {torch.get_num_threads()} threads"
