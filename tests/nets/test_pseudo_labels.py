import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.nets.pseudo_labels import confident_labels

NAMES = ("background", "water", "soil")


def logits_of(probabilities):
    """Return logits (B, K, 1, W) of probabilities (B, W, K)."""
    return torch.tensor(probabilities).log().movedim(-1, 1).unsqueeze(2)


LOGITS = logits_of(
    [
        [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.5, 0.4], [0.3, 0.3, 0.4]],
        [[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.8, 0.1, 0.1]],
    ]
)
IS_LABELLED = torch.tensor([False, True])


def test_a_label_is_believed_above_the_threshold_of_its_class():
    labels = confident_labels(LOGITS, torch.tensor([0.9, 0.6, 0.4]), IS_LABELLED)
    assert labels.classes[0, 0].tolist() == [0, 1, 1, 2]
    assert labels.mask[0, 0].tolist() == [255, 1, 255, 255]


def test_a_labelled_sample_gets_none():
    labels = confident_labels(LOGITS, torch.zeros(3), IS_LABELLED)
    assert (labels.mask[1] == 255).all()


@settings(deadline=None)  # A shared machine may pause at any moment.
@given(st.lists(st.floats(-20, 20), min_size=12, max_size=12))
def test_a_threshold_of_nought_accepts_every_prediction_of_its_class(values):
    logits = torch.tensor(values).view(1, 3, 2, 2)
    labels = confident_labels(logits, torch.tensor([0.0, 1.0, 1.0]), torch.tensor([False]))
    assert torch.equal(labels.is_accepted, labels.classes == 0)


def test_figures_by_hand():
    labels = confident_labels(LOGITS, torch.tensor([0.9, 0.45, 0.3]), IS_LABELLED)
    assert labels.mask[0, 0].tolist() == [255, 1, 1, 2]
    # Of the two of water one is right; nobody knows whether the one of soil is.
    truth = torch.tensor([[[0, 1, 2, 255]], [[0, 0, 0, 0]]])
    found = {name: float(value) for name, value in labels.figures(truth, NAMES).items()}
    assert found["pseudo/accepted"] == 0.75
    assert found["pseudo/count"] == 3
    assert found["pseudo/precision"] == 0.5
    assert [found[f"pseudo/accepted/{name}"] for name in NAMES] == [0.0, 0.5, 0.25]
    assert found["pseudo/precision/water"] == 0.5
    assert found["pseudo/precision/soil"] != found["pseudo/precision/soil"]


def test_a_share_of_nothing_is_not_a_number():
    labels = confident_labels(LOGITS, torch.zeros(3), torch.tensor([True, True]))
    found = labels.figures(torch.zeros(2, 1, 4, dtype=torch.int64), NAMES)
    assert found["pseudo/accepted"].isnan() and found["pseudo/precision"].isnan()
    assert found["pseudo/count"] == 0
