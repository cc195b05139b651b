"""What has been measured of a data set: the content of ``analysis.json``.

Written by ``runner analyze``; read by lints, ``explain`` and training, which must not wait for a
measurement. Torch and numpy are not imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Count = Annotated[float, Field(ge=0)]

Level = Literal["note", "warning"]

IMBALANCED, SEVERE = 10.0, 100.0
"""Largest class over smallest: above which it should be handled, above which it must be."""

RARELY_DONE = 0.1
"""Share of draws that are done below which a network learns never to say so."""

_MODEL = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Remark(BaseModel):
    """Something that a user should know about the data, and what to do about it.

    Attributes:
        kind: what it is about, such as ``imbalance`` or ``near_duplicates``.
        level: ``warning`` where trainings go wrong because of it, else ``note``.
        message: what was found, with figures, then the cure.
        places: files or lines that show it, the first few.
        count: how many there are in all.
    """

    model_config = _MODEL

    kind: str
    level: Level
    message: str
    places: list[str] = []
    count: int = 1


class SplitStatistics(BaseModel):
    """Figures of one split.

    Attributes:
        items: images or volumes, every one once.
        labelled: of them, those whose target may be trained on.
        classes: name to count, in the order of their indices.
        ignored: units that are labelled as to be ignored.
        figures: anything else by name.
    """

    model_config = _MODEL

    items: int
    labelled: int
    classes: dict[str, Count]
    ignored: Count = 0.0
    figures: dict[str, float] = {}

    @property
    def shares(self) -> dict[str, float]:
        """Share of each class among what is labelled; 0 where nothing is."""
        return shares(self.classes)


class Statistics(BaseModel):
    """Figures of a data set's training split, and what the other splits hold.

    Attributes:
        dataset: the part's name.
        root: as the recipe writes it.
        fingerprint: of the data; differs when a file of them does.
        items: split to number of items.
        unit: what ``classes`` counts: ``pixels``, ``voxels``, ``boxes`` or ``points``.
        classes: name to count, in the order of their indices.
        ignored: units that are labelled as to be ignored.
        figures: anything else by name, such as ``done_share`` or ``box_side_px/median``.
        weights: of each class, under which all classes count alike (``alpha: from_data``); empty
            where a class does not occur.
        splits: the figures of each split.
        remarks: what a user should know about the data.
        data_block: of the recipe, as digits, by which its children find the figures; empty for an
            embedded sample, which its root tells.
    """

    model_config = _MODEL

    schema_: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    dataset: str
    root: str
    fingerprint: str
    items: dict[str, int]
    unit: str
    classes: dict[str, Count]
    ignored: Count = 0.0
    figures: dict[str, float] = {}
    weights: dict[str, float] = {}
    splits: dict[str, SplitStatistics] = {}
    remarks: list[Remark] = []
    data_block: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """Share of each class among what is labelled; 0 where nothing is."""
        return shares(self.classes)

    @property
    def imbalance(self) -> float:
        """Largest class over smallest that occurs; 1 where fewer than two occur."""
        occurring = [count for count in self.classes.values() if count]
        return max(occurring) / min(occurring) if len(occurring) > 1 else 1.0


def shares(classes: dict[str, float]) -> dict[str, float]:
    """Return the share of each class in the sum of all; 0 where that is 0."""
    total = sum(classes.values())
    return {name: count / total if total else 0.0 for name, count in classes.items()}


def analysis_folder(runs: Path, recipe: str) -> Path:
    """Return the folder in which ``runner analyze`` leaves what it measured for a recipe."""
    return runs / "analysis" / recipe


def read_sample_statistics(root: str) -> Statistics | None:
    """Return the committed figures of an embedded sample, ``sample:uav``; None of other roots."""
    prefix, _, name = root.partition(":")
    if prefix != "sample" or not name.isalnum():
        return None
    return _read(Path(__file__).parent / "data" / "samples" / "statistics" / f"{name}.json")


def read_analysis(folder: Path) -> Statistics | None:
    """Return what was measured; None where nothing was, or in a format of another version."""
    return _read(folder / "analysis.json")


def _read(file: Path) -> Statistics | None:
    try:
        return Statistics.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
