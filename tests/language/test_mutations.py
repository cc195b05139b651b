"""Every key of every recipe misspelt, retyped, removed and doubled, one at a time.

A mutated recipe is written as YAML's flow style with a line for each key, so that the line that a
problem must name is known.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.errors import RecipeError
from runner.language.document import parse
from runner.language.load import load_at_every_scale
from runner.language.source import published, published_folder

FREE = re.compile(
    r"(.*\.)?(classes|penalties(\.\w+)?|rates|terms|expected|observed|allow|above|mapping|thresholds|multipliers)"
)
"""Mappings whose keys are the user's own names; any is as good as another."""

MISSPELLINGS = (
    lambda word, at: word[:at] + word[at + 1 :],
    lambda word, at: word[:at] + word[at] + word[at:],
    lambda word, at: word[:at] + word[at + 1] + word[at] + word[at + 2 :],
)
OTHER_TYPES = ("text", 7, True, None, [1.5], {"key": 1})


def keys(data, path=()) -> Iterator[tuple]:
    """Every key of the mappings in a recipe, those in lists too."""
    for name, value in data.items() if isinstance(data, dict) else enumerate(data):
        if isinstance(data, dict):
            yield (*path, name)
        if isinstance(value, dict | list):
            yield from keys(value, (*path, name))


def at(data, path):
    for name in path:
        data = data[name]
    return data


def changed(data, path, change):
    """A copy in which ``change`` gives the entries in place of the one at the path."""
    name, *rest = path
    if isinstance(data, list):
        return [changed(each, rest, change) if i == name else each for i, each in enumerate(data)]
    found = []
    for key, value in data.items():
        if key != name:
            found.append((key, value))
        elif rest:
            found.append((key, changed(value, rest, change)))
        else:
            found += change(key, value)
    return Entries(found)


class Entries(dict):
    """A mapping that can hold a key twice."""

    def __init__(self, entries):
        super().__init__(entries)
        self.entries = entries


def written(data, marked=None) -> tuple[str, int]:
    """The recipe's text, and the line of the last key that is called ``marked``."""
    lines: list[str] = []
    line_of = 0

    def put(value):
        nonlocal line_of
        if isinstance(value, dict):
            lines[-1] += "{"
            for key, each in value.entries if isinstance(value, Entries) else value.items():
                lines.append(f"{json.dumps(key)}: ")
                line_of = len(lines) if key == marked else line_of
                put(each)
                lines[-1] += ","
            lines[-1] += "}"
        elif isinstance(value, list):
            lines[-1] += "["
            for each in value:
                put(each)
                lines[-1] += ", "
            lines[-1] += "]"
        else:
            lines[-1] += json.dumps(value)

    lines.append("")
    put(data)
    return "\n".join(lines) + "\n", line_of


class Trials:
    """Loads mutated recipes and keeps what was said of each."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mutated.yaml"
        self.recipes = {
            name: parse((published_folder() / f"{name}.yaml").read_text(), name).data
            for name in published()
        }

    def cases(self) -> Iterator[tuple[str, dict, tuple]]:
        for name, data in self.recipes.items():
            for path in keys(data):
                yield name, data, path

    def said(self, text: str) -> list[str]:
        """The problems of a recipe; any other exception is a failure of ours."""
        self.file.write_text(text)
        try:
            load_at_every_scale("mutated.yaml")
        except RecipeError as error:
            for problem in error.problems:
                assert re.fullmatch(r".+\.yaml:\d+", problem.place), (problem, text)
                assert problem.message, problem
            return [str(problem) for problem in error.problems]
        return []


@pytest.fixture
def trials(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Trials(tmp_path)


def dotted(path) -> str:
    return ".".join(map(str, path))


def test_misspelt_key_is_named_at_its_line_with_the_nearest(trials):
    counts: Counter[str] = Counter()
    without = []
    for number, (recipe, data, path) in enumerate(trials.cases()):
        key = str(path[-1])
        if len(key) < 3 or FREE.fullmatch(dotted(path[:-1])):
            continue
        wrong = MISSPELLINGS[number % 3](key, 1 + number % (len(key) - 2))
        if wrong == key:
            continue
        text, line = written(changed(data, path, lambda _, v, key=wrong: [(key, v)]), wrong)
        said = trials.said(text)
        assert said, (recipe, path, wrong, "was taken silently")
        counts["all"] += 1
        here = [each for each in said if each.startswith(f"mutated.yaml:{line}:")]
        counts["at its line"] += bool(here)
        if not any(f"did you mean {key!r}" in each for each in here):
            without.append((recipe, dotted(path), wrong, said[:3]))
    assert counts["at its line"] == counts["all"] > 900
    assert len(without) < 0.05 * counts["all"], without


def test_retyped_value_is_named_or_allowed(trials):
    counts: Counter[str] = Counter()
    for number, (_, data, path) in enumerate(trials.cases()):
        old = at(data, path)
        others = [each for each in OTHER_TYPES if type(each) is not type(old)]
        for other in (others[number % len(others)], others[(number + 2) % len(others)]):
            text, _ = written(changed(data, path, lambda k, _, v=other: [(k, v)]))
            counts["refused" if trials.said(text) else "allowed"] += 1
    assert counts["refused"] > 0.8 * counts.total() > 1000


def test_removed_key_is_named_or_has_a_default(trials):
    counts: Counter[str] = Counter()
    for _, data, path in trials.cases():
        text, _ = written(changed(data, path, lambda _, __: []))
        counts["refused" if trials.said(text) else "allowed"] += 1
    assert counts["refused"] > 0.1 * counts.total()


def test_doubled_key_is_named_with_both_lines(trials):
    for _, data, path in trials.cases():
        text, line = written(changed(data, path, lambda k, v: [(k, v), (k, v)]))
        [said] = trials.said(text)
        assert f"{dotted(path)}: is written twice" in said
