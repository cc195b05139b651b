"""Lints of what data are taken for, and of how they are seen."""

from runner.language.lints.lint import Said, lint
from runner.language.lints.subject import Subject
from runner.registry import datasets, models, samplers

_TINY = 2
"""Images in a forward pass up to which their statistics are no population's."""


@lint(
    reason="predicting it everywhere is then right, and nothing of its shape is learned",
    cure="label_policy: ignore",
)
def merged_ignore(subject: Subject) -> Said:
    """Unlabelled voxels that are trained on as foreground."""
    for found in subject.parts(datasets, "volumes"):
        if found.params.label_policy == "merge_ignore":
            label = found.params.ignore_label
            yield (
                found.at("label_policy"),
                (f"label {label} means unlabelled and is taken for foreground{_how_much(subject)}"),
            )


def _how_much(subject: Subject) -> str:
    known = subject.statistics
    if known is None or not known.ignored:
        return ""
    background, foreground = list(known.classes.values())[:2]
    total = background + foreground + known.ignored
    share = (foreground + known.ignored) / total
    return f": {foreground / total:.1%} of the {known.unit} become {share:.1%}"


@lint(
    reason="what is measured is not what was trained",
    cure="validation: tiles",
)
def validation_at_another_scale(subject: Subject) -> Said:
    """Validation images squashed to the size of a crop that is trained at its own scale."""
    known = subject.statistics
    figures = known.figures if known else {}
    for found in subject.parts(datasets, "segmentation_folder", "partly_labelled_folder"):
        crop, resize = found.params.crop, found.params.resize
        if found.params.validation != "squash" or crop is None or resize == crop:
            continue
        height, width = resize or (
            figures.get("image_height_px/median", 0.0), figures.get("image_width_px/median", 0.0)
        )  # fmt: skip
        by = [width / crop[1], height / crop[0]]
        how_much = f", by {by[0]:.1f} and {by[1]:.1f}" if min(by) > 1 else ""
        message = (
            f"crops of {crop[0]} x {crop[1]} px are trained as they are, whole images squashed"
        )
        yield found.at("validation"), message + how_much


@lint(
    reason="every crop shows the whole image, so that none is taken around the class",
    cure="a larger data.params.resize or a smaller crop; else weigh the class by the loss alone",
)
def crops_of_whole_images(subject: Subject) -> Said:
    """Crops around a rare class that are as large as the images they are cut from."""
    sizes = [
        (data.params.crop, data.params.resize)
        for data in subject.parts(datasets, "segmentation_folder", "partly_labelled_folder")
    ]
    for found in subject.parts(samplers, "rare_class_crops"):
        for crop, resize in sizes:
            if crop is None or crop == resize:
                size = f"are {crop[0]} x {crop[1]} px before and after" if crop else "are not cut"
                yield found.at("classes"), f"images {size}"


@lint(
    reason="each step normalises by other statistics than evaluation does",
    cure="norm: group; accumulate does not help, it adds gradients alone",
)
def batchnorm_of_a_tiny_batch(subject: Subject) -> Said:
    """BatchNorm over one image or two."""
    size = subject.recipe.train.batch_size
    for found in subject.parts(models):
        if getattr(found.params, "norm", None) == "batch" and size <= _TINY:
            yield found.at("norm"), f"its statistics are of {size} sample{'s' * (size > 1)}"
