"""Where the published recipes lie, and what stands for the folder of an embedded sample."""

from pathlib import Path

SAMPLE_PREFIX = "sample:"


def published_folder() -> Path:
    """Return the folder of the published recipes: the checkout's, or the installed package's."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent / "recipes"
    return checkout if checkout.is_dir() else package / "_recipes"


def published() -> list[str]:
    """Return the names of the published recipes."""
    return sorted(path.stem for path in published_folder().glob("*.yaml"))
