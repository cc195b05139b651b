"""What has been measured of a data set: the content of ``analysis.json``.

Written by ``runner analyze``; read by lints, ``explain`` and training, which must not wait for a
measurement. Torch and numpy are not imported here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[float, Field(ge=0)]


class Statistics(BaseModel):
    """Figures of a data set's training split, and how many items each split has.

    Attributes:
        dataset: the part's name.
        root: as the recipe writes it.
        fingerprint: of the data; differs when a file of them does.
        items: split to number of items.
        unit: what ``classes`` counts: ``pixels``, ``voxels``, ``boxes`` or ``points``.
        classes: name to count, in the order of their indices.
        ignored: units that are labelled as to be ignored.
        figures: anything else by name, such as ``done_share`` or ``box_side_px/median``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    dataset: str
    root: str
    fingerprint: str
    items: dict[str, int]
    unit: str
    classes: dict[str, Count]
    ignored: Count = 0.0
    figures: dict[str, float] = {}

    @property
    def shares(self) -> dict[str, float]:
        """Share of each class among what is labelled; 0 where nothing is."""
        total = sum(self.classes.values())
        return {name: count / total if total else 0.0 for name, count in self.classes.items()}

    @property
    def imbalance(self) -> float:
        """Largest class over smallest that occurs; 1 where fewer than two occur."""
        occurring = [count for count in self.classes.values() if count]
        return max(occurring) / min(occurring) if len(occurring) > 1 else 1.0
