"""What pydantic finds wrong, in the words of a recipe's writer."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from runner.errors import Problem
from runner.language.document import Key, spelled
from runner.language.overlay import Source, value_at
from runner.registry import suggestion

_WORDING = {
    "missing": "is required: add it",
    "extra_forbidden": "nothing reads this key",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "string_type": "should be text",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "greater_than": "should be greater than {gt}",
    "greater_than_equal": "should be {ge} or more",
    "less_than": "should be less than {lt}",
    "less_than_equal": "should be {le} or less",
    "literal_error": "should be {expected}",
    "finite_number": "should be a finite number",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
}


_HAS_NO_VALUE = ("missing", "part", "rule", "unknown_key", "misfit", "encoder")
"""Kinds of findings whose words need no "not 3" at their end."""


def problems_of(error: ValidationError, source: Source) -> list[Problem]:
    """Return pydantic's findings as problems, one for each key."""
    messages: dict[Key, list[str]] = {}
    findings = error.errors(include_url=False)
    lacking = _lengths(findings, source.data)
    for each in findings:
        key = _written_key(each["loc"], source.data, is_missing=each["type"] == "missing")
        message = lacking[key] if key in lacking else _message(each)
        found = messages.setdefault(key, [])
        if message not in found:
            found.append(message)
    ordered = sorted(messages, key=lambda key: (source.place(key).file, source.place(key).line))
    return [source.problem(key, "; or ".join(messages[key])) for key in ordered]


def _message(finding: Mapping[str, Any]) -> str:
    kind, value, context = finding["type"], finding["input"], finding.get("ctx", {})
    wording: str = _WORDING.get(kind, finding["msg"].removeprefix("Input ").strip())
    if kind in _WORDING:
        wording = wording.format(**context)
    if kind in _HAS_NO_VALUE or not _is_scalar(value):
        return wording
    wording += f", not {spelled(value)}"
    if kind == "literal_error" and isinstance(value, str):
        near = suggestion(value, dict.fromkeys(re.findall(r"'([^']*)'", context["expected"])))
        wording += f"; {near}" if near.startswith("did you mean") else ""
    return wording


def _lengths(findings: Any, data: Any) -> dict[Key, str]:
    """Return what to say of each list that is too short: pydantic names each value it lacks."""
    missing: dict[Key, int] = {}
    for each in findings:
        key = _written_key(each["loc"], data, is_missing=True)
        if each["type"] == "missing" and isinstance(value_at(data, key), list):
            missing[key] = missing.get(key, 0) + 1
    found = {}
    for key, count in missing.items():
        has = len(value_at(data, key))
        found[key] = f"should be a list of {has + count} values, not of {has}"
    return found


def _written_key(loc: tuple[int | str, ...], data: Any, *, is_missing: bool) -> Key:
    """Drop what pydantic adds to a location to tell the members of a union apart."""
    key: list[str | int] = []
    for position, part in enumerate(loc):
        is_last = position == len(loc) - 1
        if isinstance(data, dict) and (part in data or (is_last and is_missing)):
            key.append(part)
            data = data.get(str(part))
        elif part == "params" and isinstance(data, dict) and "name" in data:
            # A part without params has its defaults, and may lack a required one.
            key.append(part)
            data = {}
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            key.append(part)
            data = data[part]
        elif not isinstance(data, dict | list) or is_last or isinstance(part, int):
            break
    return tuple(key)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
