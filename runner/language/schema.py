"""The JSON Schema of a recipe file, for completion, hover documentation and errors in editors.

Nothing but ``name`` is required in it: a child recipe writes only what differs from its base.
"""

from collections.abc import Sequence
from typing import Any

from runner.encoders import SMP, encoder_names, smp_names
from runner.language.lints.table import LINTS
from runner.language.recipe import Recipe
from runner.registry import KINDS, Registry, health

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def recipe_schema() -> dict[str, Any]:
    """Return the schema of a recipe with every registered part."""
    schema = _partial(Recipe.model_json_schema(by_alias=True))
    definitions: dict[str, Any] = schema.pop("$defs", {})
    for registry in KINDS.values():
        if registry is not health:
            definitions[_name(registry.kind)] = _one_of(registry, definitions)
    definitions.pop("Rule", None)
    definitions["encoder"] = _encoder()
    schema["properties"]["health"] = _rules(definitions)
    schema["properties"]["allow"]["propertyNames"] = {"enum": list(LINTS)}
    for block in ("sample", "smoke"):
        names = [
            each for each in schema["properties"] if each not in ("sample", "smoke", "extends")
        ]
        schema["properties"][block] = {
            "type": "object",
            "description": "laid over the recipe; in the root recipe of a scenario alone",
            "properties": {each: {"$ref": f"#/properties/{each}"} for each in names},
            "additionalProperties": False,
        }
    return {"$schema": DIALECT, "title": "runner recipe", **schema, "$defs": definitions}


def _encoder() -> dict[str, Any]:
    """Return the schema of an encoder's name: completed from the list, with or without weights."""
    names = {name for each in encoder_names().values() for name in each}
    names |= {f"{SMP}{name}" for name in smp_names()}
    with_tag = {"type": "string", "pattern": r"^(tu-\w+|\w+\.\w+)$"}
    return {"anyOf": [{"enum": sorted(names)}, with_tag]}


def _one_of(registry: Registry[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of ``{name, params}`` for every part of a kind.

    A child recipe that keeps its base's part writes ``params`` alone: those of any part are known.
    """
    by_part = {name: _params(registry, name, definitions) for name in registry}
    branches = [
        {
            "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
            "then": {"properties": {"params": params}},
        }
        for name, params in by_part.items()
    ]
    of_any_part = {
        "if": {"not": {"required": ["name"]}},
        "then": {"properties": {"params": _of_any(list(by_part.values()))}},
    }
    return {
        "type": "object",
        "properties": {
            "name": {
                "enum": list(registry),
                "description": f"a {registry.kind}; see runner list",
            },
            "params": {"type": "object"},
        },
        "additionalProperties": False,
        "allOf": [*branches, of_any_part],
    }


def _of_any(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of the parameters of whichever part: each as any part has it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        for key, schema in part.get("properties", {}).items():
            seen = found.setdefault(key, [])
            if schema not in seen:
                seen.append(schema)
    properties = {
        key: seen[0] if len(seen) == 1 else {"anyOf": seen} for key, seen in found.items()
    }
    is_open = any(part.get("additionalProperties") is not False for part in parts)
    return {"type": "object", "properties": properties, "additionalProperties": is_open}


def _params(registry: Registry[Any], name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _partial(registry[name].params.model_json_schema(by_alias=True))
    schema.pop("title", None)
    # References are to the document's own definitions, wherever they stand.
    definitions.update(schema.pop("$defs", {}))
    return {**schema, "description": registry[name].summary}


def _rules(definitions: dict[str, Any]) -> dict[str, Any]:
    rules = {}
    for name in health:
        schema = _params(health, name, definitions)
        properties = {
            **schema.get("properties", {}),
            "scale": {"enum": ["full", "sample", "smoke"]},
        }
        rules[name] = {**schema, "type": ["object", "null"], "properties": properties}
    return {"type": "object", "properties": rules, "additionalProperties": False}


def _partial(node: Any) -> Any:
    """Return a schema without ``required``, with references in place of the registries' marks.

    Numbers and truth values may also be written as a reference, ``${other.key}``.
    """
    if isinstance(node, list):
        return [_partial(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "x-registry" in node:
        rest = {key: value for key, value in node.items() if key != "x-registry"}
        return {"$ref": f"#/$defs/{_name(node['x-registry'])}", **rest}
    if "x-names" in node:
        rest = {key: value for key, value in node.items() if key not in ("x-names", "type")}
        return {"$ref": f"#/$defs/{node['x-names']}", **rest}
    kept = {
        key: {name: _partial(each) for name, each in value.items()}
        if key in ("properties", "$defs")
        else _partial(value)
        for key, value in node.items()
        if key != "required"
    }
    if kept.get("type") in ("number", "integer", "boolean") and "enum" not in kept:
        described = {
            key: kept.pop(key) for key in ("title", "description", "default") if key in kept
        }
        return {**described, "anyOf": [kept, {"type": "string", "pattern": r"^\$\{[\w.]+\}$"}]}
    return kept


def _name(kind: str) -> str:
    return kind.replace(" ", "_")
