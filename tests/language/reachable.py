"""What must be so for two small steps to look at a value, and what else the value may be.

A probability of strong views cannot show where no pseudo-label is believed, the grey around an
image not where all images are square. What stands here is laid over the recipe before and after
the change alike, so that the change alone is what a digest may tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from runner.data.samples import yolov8

OWN = "own:"
"""Before the name of a folder that ``own_folder`` writes."""

ANYONE = {"task.params.thresholds": 0.0}
"""Every pseudo-label is believed: strong views and weights of pseudo-labels reach the loss."""

HALVES = {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0}
"""Takes the place of a base's lists and folders, as ``extends`` does."""

BY_LIST = {"lists": {"train": "first.txt", "val": "second.txt"}}
LISTS_TURNED = {"train": "second.txt", "val": "first.txt"}
UNDEALT = {"fractions": None, "folds": None, "seed": None, "groups": None}
"""Of volumes, whose lists and ranges take nothing away."""

WHOLE = {"data.params.validation": "volumes"}
"""Tiles as small as such patches would be a thousand."""

PARTLY = "partly_labelled_folder.splits"


@dataclass(frozen=True)
class Case:
    """How a value is reached.

    Attributes:
        names: patterns of the leaves' names, a space between them.
        beside: what is set beside it, by key.
        others: values that it is given first.
    """

    names: str
    beside: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Any, ...] = ()


CASES = (
    # Splits. Lists and folders are taken away by fractions.
    Case("*.splits.fractions", {}, ({"train": 0.25, "val": 0.75},)),
    Case("points.splits.fractions points.splits.seed", {"data.params.splits": HALVES}),
    Case("boxes.splits.fractions boxes.splits.seed boxes.splits.lists", {
        "data.params.root": f"{OWN}yolov8",
        "data.params.images": "images/*/*.jpg",
        "data.params.annotations": "labels/*/{stem}.txt",
        "data.params.splits": HALVES,
    }),
    Case(f"{PARTLY}.fractions* {PARTLY}.seed {PARTLY}.by", {
        "data.params.splits": {**HALVES, "by": "source"},
        "data.params.allow_leak": ["shared_source"],
    }),
    Case("boxes.splits.lists", {"data.params.splits": BY_LIST}, (LISTS_TURNED,)),
    Case("boxes.columns.*", {
        "data.params.root": f"{OWN}yolov8",
        "data.params.format": "csv",
        "data.params.annotations": "boxes.csv",
    }),
    Case("volumes.splits.lists", {
        "data.params.root": f"{OWN}vesuvius",
        "data.params.splits": {**BY_LIST, **UNDEALT},
    }, (LISTS_TURNED,)),
    Case("volumes.splits.z_ranges", {
        "data.params.images": "train_images/11000.tif",
        "data.params.patch": [8, 16, 16],
        "data.params.splits": {**UNDEALT, "z_ranges": {"train": [0, 16], "val": [16, 32]}},
        "train.batch_size": 1,
    }, ({"train": [0, 12], "val": [16, 32]},)),
    # Sizes. The samples' images are as large as a crop at smoke scale, and square.
    Case("boxes.fill", {"data.params.size": [64, 96]}),
    Case("*_folder.validation", {"data.params.crop": [32, 32]}),
    Case("*_folder.resize", {}, ([32, 40],)),
    Case("*.multi_scale", {"data.params.crop": [48, 48]}, ([32, 64],)),
    Case("yolov8_head.width", {}, (16,)),
    Case("conv_unet.deep_supervision", {
        "task.params.task.params.model.params.widths": [8, 8, 8],
    }),
    # Data that show it: boxes of which some are faulty, figures that bear the classes' names,
    # patches of which some hold no foreground, or too little, or too much.
    Case("boxes.faulty", {"data.params.root": f"{OWN}yolov8"}),
    Case("volumes.classes", {
        "metrics": [
            {"name": "binary_overlap", "params": {"target": "truth"}}, {"name": "surface_score"},
            {"name": "confusion_matrix"},
        ],
    }),
    Case("volumes.percentiles", {
        "data.params.normalise": "percentile",
        "data.params.percentiles": [1.0, 99.0],
    }),
    Case("foreground_patches.[at]*", {"data.params.patch": [8, 8, 8], **WHOLE}),
    Case("foreground_patches.accepted", {}, ([0.0, 1.0],)),
    Case("foreground_patches.target", {"sampler.params.accepted": [0.5, 0.7]}, (0.7,)),
    Case("foreground_patches.tries", {"sampler.params.accepted": [0.5, 0.5]}),
    Case("balanced_patches.tries", {"data.params.patch": [4, 4, 4], **WHOLE}),
    # Names of networks, and weights of as many classes as the sample has.
    Case("*.backbone", {}, ("resnet18", "test_byobnet")),
    Case("*.encoder", {}, ("resnet18", "resnet34")),
    Case("cross_entropy.weights", {}, ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],)),
    Case("balanced_focal.alpha", {}, ([1.0, 2.0, 3.0, 4.0],)),
    # Self-training: what is not believed teaches nothing. The two averages are the same one.
    Case("noise.*", ANYONE),
    Case("blur.*", ANYONE),
    Case("blur.sigma_px", {
        "data.params.strong": [
            {"name": "color_jitter"}, {"name": "blur", "params": {"probability": 1.0}},
        ],
    }),
    Case("self_training.weight", ANYONE),
    Case("self_training.start_step", ANYONE),
    Case("self_training.evaluate", {"train.ema": None}),
    Case("adversarial.pseudo_weight", {"task.params.threshold": 0.0}),
    Case("adversarial.start_step", {"task.params.threshold": 0.0}),
    # What acts on something else that the recipe lacks: decay, a warm-up, parameters so called.
    Case("adam.decay_norm_and_bias", {
        "task.params.discriminator_optimizer.params.weight_decay": 0.1,
    }),
    Case("sequential_points.done_mode", {"sampler.params.done_share": None}),
    Case("*.min_lr", {}, (1e-5, 5e-3)),
    Case("*.warmup_start_factor", {"schedule.params.warmup": {"fraction": 0.5}}),
    Case("sgd.multipliers.*", {
        "task.params.task.params.model": {
            "name": "deeplabv3plus", "params": {"encoder": "resnet18", "output_stride": 16},
        },
    }),
)  # fmt: skip


def cases(name: str) -> list[Case]:
    """Return those of a leaf, by its name."""
    return [case for case in CASES if any(fnmatchcase(name, each) for each in case.names.split())]


def beside(name: str, own: str) -> dict[str, Any]:
    """Return what is set beside a leaf, by key.

    Args:
        name: of the leaf.
        own: folder for data that the proof writes itself.
    """
    found: dict[str, Any] = {}
    for case in cases(name):
        found |= case.beside
    root = found.get("data.params.root", "")
    if root.startswith(OWN):
        found["data.params.root"] = str(own_folder(root.removeprefix(OWN), own))
    return found


def others(name: str) -> list[Any]:
    """Return what a leaf may be beside what is tried of its type."""
    return [each for case in cases(name) for each in case.others]


@cache
def own_folder(sample: str, own: str) -> Path:
    """Write an embedded sample with what it lacks: lists, boxes as CSV, a box that is there twice.

    Args:
        sample: its name.
        own: folder to write it below.
    """
    folder = Path(own) / sample
    folder.mkdir(parents=True)
    import_module(f"runner.data.samples.{sample}").write(folder, 0)
    images = sorted((*folder.glob("images/*/*.jpg"), *folder.glob("train_images/*.tif")))
    for name, part in (("first.txt", images[::2]), ("second.txt", images[1::2])):
        (folder / name).write_text("".join(f"{each.relative_to(folder)}\n" for each in part))
    if sample == "yolov8":
        _write_boxes(folder)
    return folder


def _write_boxes(folder: Path) -> None:
    rows = ["file,x1,y1,x2,y2,class"]
    for labels in sorted(folder.glob("labels/*/*.txt")):
        for line in labels.read_text().splitlines():
            kind, x, y, width, height = map(float, line.split())
            edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            corners = ",".join(f"{edge * yolov8.EDGE_PX:.2f}" for edge in edges)
            rows.append(f"{labels.stem}.jpg,{corners},{yolov8.CLASSES[int(kind)]}")
    (folder / "boxes.csv").write_text("\n".join(rows))
    labels.write_text(labels.read_text() * 2)
