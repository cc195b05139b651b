"""How a recipe writes which split an image belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, get_args

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from runner.registry import Strict

if TYPE_CHECKING:
    from runner.data.splits import SplitRule

SplitName = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)
T = TypeVar("T")


class Splits(Strict):
    """Which split an image belongs to: exactly one of fractions, lists, folders."""

    fractions: dict[SplitName, Annotated[float, Field(gt=0, lt=1)]] | None = Field(
        default=None, description="share of the images that each split gets; needs seed"
    )
    seed: int | None = Field(default=None, ge=0, description="of the shuffle before fractions")
    lists: dict[SplitName, str | None] | None = Field(
        default=None,
        description="text file of each split that names an image a line; null takes a base's away",
    )
    folders: dict[SplitName, str | None] | None = Field(
        default=None,
        description="folder of each split: what {split} stands for in the patterns; null takes a "
        "base's away",
    )

    @model_validator(mode="after")
    def _is_one_kind(self) -> Splits:
        given = [kind for kind in (self.fractions, self.lists, self.folders) if kind is not None]
        missing = [name for name in ("train", "val") if any(not kind.get(name) for kind in given)]
        total = sum(self.fractions.values()) if self.fractions is not None else 1.0
        wrong = ""
        if len(given) != 1:
            wrong = "write exactly one of fractions, lists, folders (null takes a base's away)"
        elif missing:
            wrong = f"there is no split {' and no split '.join(missing)}; name it"
        elif (self.seed is None) != (self.fractions is None):
            wrong = "seed belongs to fractions: write both or neither"
        elif abs(total - 1) > 1e-6:
            wrong = f"the fractions sum to {total:g}, not to 1; correct them"
        if wrong:
            raise PydanticCustomError("splits", "{reason}", {"reason": wrong})
        return self

    def rule(self) -> SplitRule:
        """Return it as the data room knows it."""
        from runner.data.splits import Folders, Fractions, Lists

        if self.fractions is not None:
            assert self.seed is not None, "checked above"
            return Fractions(_ordered(self.fractions), self.seed)
        if self.lists is not None:
            return Lists(_ordered(self.lists))
        assert self.folders is not None, "checked above"
        return Folders(_ordered(self.folders))


def _ordered(splits: Mapping[SplitName, T | None]) -> dict[str, T]:
    # Fractions are dealt out in turn: the order of writing must not decide who gets what.
    named = ((str(name), splits.get(name)) for name in SPLIT_NAMES)
    return {name: value for name, value in named if value is not None}
