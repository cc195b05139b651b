"""A YAML document is read without surprises, and every key knows its line."""

import time

import pytest

from runner.errors import RecipeError
from runner.language.document import Place, parse


def problems(text: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse(text, "r.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("0", 0),
        ("1.5", 1.5),
        ("1e-3", 1e-3),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("text", "text"),
        ("'012'", "012"),
        ('"3:25"', "3:25"),
        ("'off'", "off"),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"),
    ],
)
def test_scalar_is_read_as_it_looks(text, value):
    found = parse(f"a: {text}", "r.yaml").data["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("012", "3:25", "off", "Yes", "True", "1_000", "0x1F"),
        *(".inf", "-.INF", ".nan", "1e400", "NULL", "9" * 40),
    ],
)
def test_spelling_that_yaml_misreads_is_refused(text):
    assert problems(f"x: 1\na: {text}")[0].startswith("r.yaml:2: a: ")


def test_every_key_and_item_has_its_line():
    places = parse("a:\n  b: 1\n  c:\n    - 2\n    - d: 3\n", "r.yaml").places
    assert places[("a", "b")] == Place("r.yaml", 2)
    assert places[("a", "c", 1, "d")] == Place("r.yaml", 5)


def test_key_written_twice_names_both_lines():
    assert problems("a: 1\nb: 2\na: 3") == [
        "r.yaml:3: a: is written twice, first in line 1; keep one"
    ]


def test_all_problems_are_reported_at_once():
    assert len(problems("a: 012\nb: off\nb: 3:25")) == 4


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system",
        "!!python/module:os {}",
        "a: !custom 3",
    ],
)
def test_tag_is_refused_and_nothing_is_executed(text):
    assert "has the tag" in problems(text)[0]


def test_merge_key_is_refused():
    assert "extends does that" in problems("a: &x {b: 1}\nc:\n  <<: *x")[0]


def test_alias_bomb_is_refused_within_a_second():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    start = time.perf_counter()
    assert "aliases counted" in problems("\n".join(lines))[0]
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("brackets", ["[" * 100_000, "{a: " * 3_000, "[" * 65 + "]" * 65])
def test_deep_nesting_is_refused(brackets):
    assert "nested deeper than 64" in problems(f"a: {brackets}")[0]


def test_recipe_above_a_mebibyte_is_refused():
    assert "larger than 1 MiB" in problems("a: '" + "x" * (1 << 20) + "'")[0]


def test_syntax_error_names_its_line():
    assert problems("a: 1\nb: [1, 2")[0].startswith("r.yaml:3: not YAML")


def test_second_document_is_refused():
    assert "second document" in problems("a: 1\n---\nb: 2")[0]


def test_alias_to_nothing_is_a_problem():
    assert problems("a: *x")


def test_small_alias_is_read():
    assert parse("a: &x [1, 2]\nb: *x", "r.yaml").data == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("text", ["", "# only a comment", "---"])
def test_empty_document_is_nothing(text):
    assert parse(text, "r.yaml").data is None


def test_key_that_is_no_text_is_a_problem():
    assert "plain text" in problems("? [1, 2]\n: 3")[0]
