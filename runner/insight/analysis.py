"""Measure the data of a recipe item by item: figures, what they mean, and every bad file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from runner.contracts import Data
from runner.data.files import collected
from runner.data.perceptual import SAME, correlation
from runner.data.points.draws import Mixed, PointingOrder
from runner.data.unmapped import told_once
from runner.engine.reading import read_data, root_folder
from runner.errors import Problem, RecipeError
from runner.insight.analysis_figures import Tally
from runner.insight.analysis_remarks import (
    class_remarks,
    label_remarks,
    size_remarks,
    source_remarks,
    twin_remarks,
)
from runner.insight.near_duplicates import near_duplicates
from runner.insight.spread import processes_for, spread
from runner.insight.verification import files_of, problems_of
from runner.language.blame import blaming
from runner.language.folders import SAMPLE_PREFIX
from runner.language.known import data_block
from runner.language.load import Loaded
from runner.language.machine import Machine
from runner.language.recipe import Recipe
from runner.nets.class_weights import balanced_weights
from runner.statistics import Remark, SplitStatistics, Statistics
from runner.surveys import Inventory, Item, Survey

T = TypeVar("T")


class Watch(Protocol):
    """Shows how far an iterator is."""

    def __call__(self, doing: str, length: int, iterator: Iterator[T], /) -> Iterator[T]:
        """Return the same iterator, watched.

        Args:
            doing: what is being done, in a word.
            length: of the iterator.
            iterator: to be watched.
        """
        ...


def unwatched(_: str, __: int, iterator: Iterator[T], /) -> Iterator[T]:
    """Show nothing."""
    return iterator


@dataclass(frozen=True)
class Analysis:
    """What was found.

    Attributes:
        statistics: None where the data set could not be opened.
        problems: what makes the data unfit to be trained on.
        tallies: of each split, with the values that plots show.
    """

    statistics: Statistics | None
    problems: tuple[Problem, ...] = ()
    tallies: Mapping[str, Tally] = field(default_factory=dict)


def analyze(
    loaded: Loaded,
    machine: Machine,
    *,
    verify: bool = False,
    similar_bits: int = 8,
    watch: Watch = unwatched,
) -> Analysis:
    """Look at every item of a recipe's data set.

    Args:
        loaded: the recipe.
        machine: folders, and how many processes.
        verify: decode every file strictly.
        similar_bits: of a perceptual hash, in which images may differ that are compared.
        watch: shows progress.
    Raises: RecipeError: the recipe cannot be built, or its data set does not list its items.
    """
    recipe = loaded.recipe
    problems: list[Problem] = []
    data: Data | None = None
    with blaming(loaded.source, "data"), collected(problems):
        data = read_data(recipe, machine)
    if verify:
        problems += _verified(recipe, machine, problems, watch)
    if data is None:
        return Analysis(None, tuple(told_once(problems)))
    if data.inventory is None:
        message = "does not list its items (Data.inventory), so there is nothing to look at"
        raise RecipeError(Problem(recipe.data.name, "data.name", message))
    tallies = _tallies(data, data.inventory, machine, watch)
    named = _named(problems)
    for split, tally in tallies.items():
        problems += [each for each in tally.problems if Path(each.place).absolute() not in named]
        if not tally.problems and tally.labelled and not tally.counts.sum():
            message = f"the split {split!r} has nothing labelled: {_nothing(tally)}"
            problems.append(Problem(recipe.root, "", message))
    twins = _twins(data.inventory, tallies, similar_bits, machine, watch)
    splits = {split: tally.statistics() for split, tally in tallies.items()}
    with blaming(loaded.source, "sampler"):
        splits["train"] = _with_done_share(splits["train"], data, recipe, tallies["train"])
    unit = data.inventory.unit
    later = sum(len(tally.items) for tally in list(tallies.values())[1:])
    identities = {split: tally.identities for split, tally in tallies.items()}
    remarks = [
        *class_remarks(splits, unit),
        *label_remarks(splits["train"], unit),
        *size_remarks(splits["train"]),
        *source_remarks(identities),
        *twin_remarks(twins, later),
        *data.inventory.remarks,
    ]
    statistics = _statistics(recipe, data, unit, splits, remarks)
    return Analysis(statistics, tuple(told_once(problems)), tallies)


def _verified(
    recipe: Recipe, machine: Machine, known: Sequence[Problem], watch: Watch
) -> list[Problem]:
    """Return what is wrong with files of which nothing is known to be wrong yet."""
    files = list(files_of(recipe, root_folder(recipe, machine)).items())
    named = _named(known)
    checked = spread(problems_of, files, processes=processes_for(len(files), machine.workers))
    return [
        each
        for path, found in watch("verifying", len(files), checked)
        if path.absolute() not in named
        for each in found
    ]


def _named(problems: Sequence[Problem]) -> set[Path]:
    """Return the files that problems are of: items have absolute paths, others what root has."""
    return {Path(each.place).absolute() for each in problems}


def _tallies(data: Data, inventory: Inventory, machine: Machine, watch: Watch) -> dict[str, Tally]:
    items = [item for each in inventory.items.values() for item in each]
    surveys = spread(_survey, items, processes=_processes(items, machine))
    watched = watch("measuring", len(items), surveys)
    tallies = {}
    for split, each in inventory.items.items():
        tallies[split] = Tally(data.spec.classes, inventory.unit)
        for item in each:
            tallies[split].add(item, next(watched))
    return tallies


def _processes(items: Sequence[Item], machine: Machine) -> int:
    # Another process knows nothing of the classes of a plugin.
    is_ours = all(type(item).__module__.startswith("runner.") for item in items[:1])
    return processes_for(len(items), machine.workers if is_ours else 0)


def _survey(item: Item) -> Survey:
    return item.survey()


def _nothing(tally: Tally) -> str:
    if tally.ignored:
        return f"all its {tally.unit} are ignored; correct its masks or their mapping"
    return f"no item of it has {tally.unit}; correct its annotations"


def _twins(
    inventory: Inventory,
    tallies: Mapping[str, Tally],
    within: int,
    machine: Machine,
    watch: Watch,
) -> list[tuple[str, str, float]]:
    """Return items of later splits that look like one of an earlier, most alike first."""
    items = [item for each in inventory.items.values() for item in each]
    looks = [each for tally in tallies.values() for each in tally.looks]
    parts = [part for part, tally in enumerate(tallies.values()) for _ in tally.looks]
    found = near_duplicates(looks, parts, within)
    pairs = [(items[twin.item], items[twin.other]) for twin in found]
    processes = _processes([item for item, _ in pairs], machine)
    compared = spread(_likeness, pairs, processes=processes)
    alike = list(watch("comparing", len(pairs), compared)) if pairs else []
    same = [
        (item.name, other.name, each)
        for (item, other), each in zip(pairs, alike, strict=True)
        if each >= SAME
    ]
    return sorted(same, key=lambda each: -each[2])


def _likeness(pair: tuple[Item, Item]) -> float:
    first, second = (item.thumbnail() for item in pair)
    return 0.0 if first is None or second is None else correlation(first, second)


def _with_done_share(
    train: SplitStatistics, data: Data, recipe: Recipe, tally: Tally
) -> SplitStatistics:
    """Return the figures with the share of draws of the recipe's sampler that are done."""
    objects = tally.samples.get("objects_per_image")
    if not objects:
        return train
    sampler = recipe.sampler.build(data.splits["train"], recipe.train.batch_size)
    if not isinstance(sampler, PointingOrder):
        # Who does not choose leaves it to the data set.
        sampler = PointingOrder(len(objects), None, Mixed())
    figures = {**train.figures, "done_share": sampler.done_share(objects)}
    return train.model_copy(update={"figures": figures})


def _statistics(
    recipe: Recipe,
    data: Data,
    unit: str,
    splits: dict[str, SplitStatistics],
    remarks: list[Remark],
) -> Statistics:
    train = splits["train"]
    counts = list(train.classes.values())
    weights = balanced_weights(counts) if len(counts) > 1 and all(counts) else ()
    return Statistics(
        dataset=recipe.data.name,
        root=recipe.root,
        fingerprint=data.fingerprint,
        items={split: each.items for split, each in splits.items()},
        unit=unit,
        classes=train.classes,
        ignored=train.ignored,
        figures=train.figures,
        weights=dict(zip(train.classes, weights, strict=True)) if weights else {},
        splits=splits,
        remarks=remarks,
        data_block="" if recipe.root.startswith(SAMPLE_PREFIX) else data_block(recipe),
    )
