"""Which figures of a recipe's data are at hand, without a look at the data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from runner.language.class_weights import named_classes
from runner.language.folders import SAMPLE_PREFIX
from runner.language.load import Loaded, is_published
from runner.language.plugins import is_own
from runner.language.recipe import Recipe
from runner.language.source import shown_path
from runner.statistics import Statistics, analysis_folder, read_analysis, read_sample_statistics

_UNMEASURED = frozenset(
    (
        *("root", "cache", "allow_leak", "transforms", "strong", "flip", "fill", "mean", "std"),
        *("normalise", "percentiles", "crop", "patch", "multi_scale", "validation"),
        *("validation_draws", "validation_done_share", "counted_images"),
        *("order", "row_px", "mark_radius_px", "mark_color"),
    )
)
"""What our data sets do to samples once they are read: no figure of the data depends on it."""


def statistics_at_hand(loaded: Loaded, runs: Path | None = None) -> Statistics | None:
    """Return what ``runner analyze`` has measured, or else the committed figures of a sample.

    Args:
        loaded: whose data; its scale decides whether another root's figures may stand for them.
        runs: folder of the analyses; none is looked for where None.
    """
    found = analysis_at_hand(loaded, runs) if runs is not None else None
    if found is not None:
        return found[1]
    sample = read_sample_statistics(loaded.recipe.root)
    return sample if sample is not None and _is_alike(loaded.recipe, sample) else None


def analysis_at_hand(loaded: Loaded, runs: Path) -> tuple[Path, Statistics] | None:
    """Return the folder and the figures of the analysis of a recipe's data; None without one.

    It need not bear the recipe's name: a child that inherits the data block, and a run of it, have
    the same data.

    Args:
        loaded: whose data.
        runs: folder of the analyses.
    """
    recipe = loaded.recipe
    is_sample = recipe.root.startswith(SAMPLE_PREFIX)
    block = data_block(recipe)
    named = [loaded.name, *(path.stem for path in reversed(loaded.source.chain[:-1]))]
    for folder in _folders(runs, named):
        analyzed = read_analysis(folder)
        if analyzed is None or not _is_alike(recipe, analyzed):
            continue
        # Analyses of earlier versions do not tell their data block.
        fits = analyzed.data_block == block if analyzed.data_block else folder.name == loaded.name
        # An analysis with --data speaks of the user's data, where the recipe names a sample.
        is_of_user = is_sample and not analyzed.root.startswith(SAMPLE_PREFIX)
        is_in_place = is_of_user and recipe.scale == "full" and folder.name in named
        if fits and (analyzed.root == recipe.root or is_in_place):
            return folder, analyzed
    return None


def analyze_command(loaded: Loaded) -> str:
    """Return the command that measures the data of a recipe anew."""
    file, root = loaded.source.chain[-1], loaded.recipe.root
    named = loaded.name if is_published(file) else shown_path(file)
    where = f" --data {root}" if root != loaded.written.root else ""
    return f"runner analyze {named}{where}"


def data_block(recipe: Recipe) -> str:
    """Return digits that change with all of a data block but its root that figures depend on."""
    params = recipe.data.params.model_dump(mode="json", exclude_defaults=True)
    left_out = {"root"} if is_own(recipe.data.factory) else _UNMEASURED
    kept = {key: value for key, value in params.items() if key not in left_out}
    text = json.dumps({"name": recipe.data.name, "params": kept}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _folders(runs: Path, named: list[str]) -> Iterator[Path]:
    """Yield folders of analyses: those of the names first, then any other, the latest first."""
    first = [analysis_folder(runs, name) for name in dict.fromkeys(named)]
    yield from first
    written = {file.parent: file for file in analysis_folder(runs, "").glob("*/analysis.json")}
    others = [folder for folder in written if folder not in first]
    yield from sorted(others, key=lambda folder: -written[folder].stat().st_mtime)


def _is_alike(recipe: Recipe, statistics: Statistics) -> bool:
    named = named_classes(recipe)
    if named and named != list(statistics.classes):
        return False
    return statistics.dataset == recipe.data.name
