"""A factory's signature is its schema: nothing unknown, nothing converted, nothing untyped."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from runner.registry import KINDS, LossPart, Part, Registry, Strict
from runner.signature import described_params


@pytest.fixture
def nets():
    registry: Registry[Any] = Registry("net", "tests.test_registry_module")
    registry._entries = {}
    registry._filled = lambda: registry._entries  # no module of parts to import

    @registry.register
    def unet(
        given: int,
        /,
        *,
        depth: Annotated[int, Field(gt=0, le=9)] = 5,
        size: tuple[int, int] = (64, 64),
        kind: Literal["a", "b"] = "a",
        rate: float = 0.1,
    ) -> Any:
        """A net.

        Args:
            depth: levels,
                counted once.
            size: edge lengths in px.
        """
        return given, depth, size, kind, rate

    return registry


def errors(call, *arguments) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        call(*arguments)
    return [(each["loc"], each["msg"]) for each in caught.value.errors()]


def test_part_is_checked_before_and_built_later(nets):
    part = nets.parse({"name": "unet", "params": {"depth": 3, "size": [8, 9]}})
    assert isinstance(part, Part)
    assert part.build(7) == (7, 3, (8, 9), "a", 0.1)


def test_defaults_stand_in_the_dump(nets):
    dump = nets.parse({"name": "unet"}).dump()
    assert dump == {
        "name": "unet",
        "params": {"depth": 5, "size": [64, 64], "kind": "a", "rate": 0.1},
    }
    assert nets.parse(dump).dump() == dump


def test_misspelt_key_suggests_the_nearest(nets):
    [(loc, message)] = errors(nets.parse, {"name": "unet", "params": {"dept": 3}})
    assert loc == ("params", "dept")
    assert "did you mean 'depth'?" in message


def test_misspelt_part_suggests_the_nearest(nets):
    with pytest.raises(ValidationError, match="did you mean 'unet'"):
        nets.parse({"name": "unett"})


@pytest.mark.parametrize(
    "params",
    [
        {"depth": 0},
        {"depth": 10},
        {"depth": "5"},
        {"depth": True},
        {"depth": 5.0},
        {"size": [1]},
        {"size": [1, "2"]},
        {"kind": "c"},
        {"rate": "0.1"},
        {"rate": float("nan")},
        {"rate": None},
    ],
)
def test_wrong_value_is_refused_and_never_converted(nets, params):
    [(loc, _)] = errors(nets.parse, {"name": "unet", "params": params})
    assert loc[:2] == ("params", next(iter(params)))


def test_all_problems_of_a_part_are_reported(nets):
    found = errors(nets.parse, {"name": "unet", "params": {"depth": 0, "sise": 1, "kind": "z"}})
    assert {loc[1] for loc, _ in found} == {"depth", "sise", "kind"}


@pytest.mark.parametrize("block", [None, "unet", 3, [], {}, {"params": {}}, {"name": 3}])
def test_what_names_no_part_says_how_to(nets, block):
    class Recipe(Strict):
        net: Annotated[Part[Any], nets]

    [(_, message)] = errors(Recipe.model_validate, {"net": block})
    assert "{name: ..., params: {...}}" in message


def test_param_beside_name_is_pointed_to_its_place(nets):
    [(loc, message)] = errors(nets.parse, {"name": "unet", "depth": 3})
    assert loc == ("depth",)
    assert "a part has name and params" in message


@pytest.mark.parametrize(
    "source",
    [
        "def bad(given, /, *, a: int, **rest): ...",
        "def bad(given, /, *rest, a: int): ...",
        "def bad(given, /, *, a): ...",
        "def bad(given, a: int = 1): ...",
    ],
)
def test_register_refuses_open_signatures(nets, source):
    space: dict[str, Any] = {}
    exec(source, space)
    with pytest.raises(TypeError, match="write it before '/'"):
        nets.register(space["bad"])


def test_register_refuses_a_name_twice(nets):
    def unet(*, a: int = 1): ...

    with pytest.raises(TypeError, match="registered twice"):
        nets.register(unet)


def test_docstring_describes_each_parameter(nets):
    assert described_params(nets["unet"].factory) == {
        "depth": "levels, counted once.",
        "size": "edge lengths in px.",
    }


def test_nested_part_reports_its_whole_key():
    class Recipe(Strict):
        loss: LossPart

    terms = {"a": {"weight": 1.0, "loss": {"name": "dice", "params": {"smoth": 1}}}}
    block = {"name": "weighted_sum", "params": {"terms": terms}}
    [(loc, message)] = errors(Recipe.model_validate, {"loss": block})
    assert loc == ("loss", "params", "terms", "a", "loss", "params", "smoth")
    assert "did you mean 'smooth'?" in message


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_describes_itself_and_each_parameter(kind):
    registry = KINDS[kind]
    names = list(registry)
    assert names
    for name in names:
        entry = registry[name]
        assert entry.summary, name
        for key, field in entry.params.model_fields.items():
            assert field.description, f"{kind} {name}: the docstring's Args lacks {key}"
