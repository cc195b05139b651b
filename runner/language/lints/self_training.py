"""Lints of learning from one's own labels."""

from runner.language.lints.lint import Said, lint
from runner.language.lints.subject import Subject
from runner.registry import datasets, samplers, tasks


@lint(
    reason="what the network takes for such a class it learns to take for it, right or wrong",
    cure="one threshold for all classes, such as 0.9",
)
def zero_threshold(subject: Subject) -> Said:
    """A class whose every pseudo-label is believed."""
    for found in subject.parts(tasks, "self_training"):
        thresholds = found.params.thresholds
        if not found.params.weight:
            continue
        by_class = thresholds if isinstance(thresholds, dict) else {"every class": thresholds}
        names = [name for name, threshold in by_class.items() if not threshold]
        if names:
            yield found.at("thresholds"), f"every prediction of {', '.join(names)} is believed"


@lint(
    reason="it is told what it says already, and grows sure of it",
    cure="teacher_decay: 0.999, and data.params.strong",
)
def own_labels_of_the_same_view(subject: Subject) -> Said:
    """A network that learns from its own labels of what it sees."""
    strong = getattr(subject.recipe.data.params, "strong", ())
    for found in subject.parts(tasks, "self_training"):
        if found.params.weight and found.params.teacher_decay is None and not strong:
            message = "the trained weights label the view that they are trained on"
            yield found.at("teacher_decay"), message


@lint(
    reason="it trains on the true labels alone, and counts what it would have believed",
    cure="a start_step within the training, or weight: 0 where that is meant",
)
def never_self_trained(subject: Subject) -> Said:
    """Pseudo-labels that are to be trained on when the training is over."""
    steps = subject.recipe.train.steps
    for found in subject.parts(tasks, "self_training", "adversarial"):
        params = found.params
        weight = getattr(params, "weight", None) or getattr(params, "pseudo_weight", None)
        if steps is not None and weight and params.start_step >= steps:
            yield found.at("start_step"), f"the training ends at step {steps}"


@lint(
    reason="a batch may hold no labelled sample, and then learns from its own labels alone",
    cure="sampler: {name: two_streams}, whose batches hold both",
)
def labelled_share_left_to_chance(subject: Subject) -> Said:
    """Self-training on batches that hold as many labelled samples as it happens."""
    if subject.parts(samplers, "two_streams"):
        return
    for found in subject.parts(tasks, "self_training", "adversarial"):
        message = f"{subject.recipe.sampler.name} mixes labelled and unlabelled as they come"
        yield found.key, message


@lint(
    reason="what is measured was learned by heart in part",
    cure="a split by source, and no leak allowed",
)
def allowed_leak(subject: Subject) -> Said:
    """Data of which a leak between splits is let be."""
    for found in subject.parts(datasets):
        leaks = getattr(found.params, "allow_leak", False)
        if leaks:
            kinds = "an image" if leaks is True else " and ".join(leaks)
            yield found.at("allow_leak"), f"two splits may share: {kinds}"
