import pytest
import torch
from pydantic import ValidationError

from runner.contracts import DataSpec, Measured
from runner.errors import RecipeError
from runner.registry import losses

CLASSES = ("background", "safe", "caution", "danger")
SPEC = DataSpec(CLASSES, measured=Measured(values={"class_pixels": (1.0, 9.0, 5.0, 5.0)}))
PENALTIES = {
    "danger": {"safe": 5, "caution": 3},
    "caution": {"safe": 3, "danger": 1.2},
    "safe": {"danger": 1.5},
}
BLOCKS = {
    "combined_safety": {"class_weights": [1, 2, 1.5, 3], "penalties": PENALTIES},
    "balanced_focal": {"alpha": "from_data"},
    "focal": {},
    "cross_entropy": {"weights": "from_data", "label_smoothing": 0.1},
    "dice": {},
    "weighted_sum": {
        "terms": {
            "overlap": {"weight": 0.4, "loss": {"name": "dice"}},
            "safety": {
                "weight": 0.6,
                "loss": {
                    "name": "combined_safety",
                    "params": {"class_weights": [1, 1, 1, 1], "penalties": {}},
                },
            },
        }
    },
}


def built(name, **params):
    return losses.parse({"name": name, "params": {**BLOCKS[name], **params}}).build(SPEC)


def example():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 6, generator=generator)
    return logits, torch.randint(0, 4, (2, 6, 6), generator=generator)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_loss_scores_logits_against_a_mask(name):
    value = built(name)(*example())
    terms = value.values() if isinstance(value, dict) else [value]
    assert all(term.ndim == 0 and term.item() > 0 for term in terms)


def test_every_loss_is_tried_here():
    assert set(BLOCKS) <= set(losses)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_parameter_is_described(name):
    schema = losses[name].params.model_json_schema(ref_template="{model}")["properties"]
    assert [key for key, value in schema.items() if not value.get("description")] == []


def test_alpha_from_data_is_total_over_classes_times_count():
    assert built("balanced_focal").alpha.tolist() == pytest.approx([5, 20 / 36, 1, 1])


def test_max_alpha_caps_the_largest_weight():
    assert built("balanced_focal", max_alpha=2).alpha.tolist() == pytest.approx([2, 20 / 36, 1, 1])


def test_measured_weights_are_read_not_measured_again():
    measured = Measured(
        measure={"class_pixels": lambda: pytest.fail("measured anew")},
        values={"class_pixels": (1.0, 1.0)},
    )
    part = losses.parse({"name": "balanced_focal", "params": {"alpha": "from_data"}})
    assert part.build(DataSpec(("a", "b"), measured=measured)).alpha.tolist() == [1, 1]


def test_penalties_and_weights_meet_in_one_table():
    assert built("combined_safety").factors.tolist() == [
        [1, 1, 1, 1],
        [2, 2, 2, 3],
        pytest.approx([1.5, 4.5, 1.5, 1.8]),
        [3, 15, 9, 3],
    ]


def test_weights_by_name_are_those_by_order():
    named = dict(zip(reversed(CLASSES), (3, 1.5, 2, 1), strict=True))
    assert torch.equal(
        built("combined_safety", class_weights=named).factors, built("combined_safety").factors
    )


def test_a_wrong_number_of_weights_names_the_parameter():
    with pytest.raises(RecipeError) as caught:
        built("balanced_focal", alpha=[1, 2])
    assert caught.value.problems[0].key == "alpha"


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("balanced_focal", {"gamma": -1}),
        ("balanced_focal", {"alpha": "from_dta"}),
        ("balanced_focal", {"max_alpha": 0}),
        ("cross_entropy", {"label_smoothing": 1}),
        ("dice", {"smooth": 0}),
        ("combined_safety", {"boundary_px": 0}),
        ("combined_safety", {"penalties": {"danger": {"safe": -5}}}),
        ("weighted_sum", {"terms": {}}),
        ("weighted_sum", {"terms": {"a": {"loss": {"name": "dice"}}}}),
        ("weighted_sum", {"terms": {"a/b": {"weight": 1, "loss": {"name": "dice"}}}}),
        ("weighted_sum", {"terms": {"a": {"weight": 1, "loss": {"name": "dise"}}}}),
    ],
)
def test_out_of_range_is_refused_not_clamped(name, params):
    with pytest.raises(ValidationError):
        built(name, **params)


def test_a_weighted_sum_names_the_terms_of_its_losses():
    terms = built("weighted_sum")(*example())
    assert list(terms) == ["overlap", "safety/safety_focal", "safety/dice", "safety/boundary"]
    assert terms["overlap"].item() == pytest.approx(0.4 * built("dice")(*example()).item())
    assert terms["safety/dice"].item() == pytest.approx(0.6 * built("dice")(*example()).item())


def test_a_weighted_sum_dumps_what_was_written():
    part = losses.parse({"name": "weighted_sum", "params": BLOCKS["weighted_sum"]})
    dumped = part.dump()
    assert dumped["params"]["terms"]["overlap"]["loss"] == {
        "name": "dice",
        "params": {"smooth": 1.0},
    }
    assert losses.parse(dumped).dump() == dumped


def test_child_takes_a_term_out_with_null():
    from pydantic import ValidationError

    from runner.contracts import DataSpec
    from runner.registry import losses

    spec = DataSpec(("a", "b"))
    term = {"weight": 1.0, "loss": {"name": "dice"}}
    part = losses.parse({"name": "weighted_sum", "params": {"terms": {"x": term, "y": None}}})
    import torch

    found = part.build(spec)(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64))
    assert list(found) == ["x"]
    with pytest.raises(ValidationError, match="keep at least one"):
        losses.parse({"name": "weighted_sum", "params": {"terms": {"y": None}}})
