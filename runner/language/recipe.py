"""The recipe: everything that decides what a run does, and nothing else."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    WithJsonSchema,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from runner.language.training import Positive, Train
from runner.registry import (
    DatasetPart,
    MetricPart,
    OptimizerPart,
    Part,
    SamplerPart,
    SchedulePart,
    Strict,
    TaskPart,
    health,
    suggestion,
)

Scale = Literal["full", "sample", "smoke"]


def _evaluated(name: str) -> str:
    if not name.startswith("val/"):
        message = "should be a figure of an evaluation: write val/loss, say"
        raise PydanticCustomError("metric", "{m}", {"m": message})
    return name


EvaluatedName = Annotated[
    str,
    AfterValidator(_evaluated),
    Field(description="a figure of an evaluation", json_schema_extra={"pattern": "^val/.+"}),
]


class Monitor(Strict):
    """The metric that best checkpoint, plateau and early stopping look at."""

    metric: EvaluatedName
    mode: Literal["max", "min"]

    @model_validator(mode="after")
    def _towards_the_better(self) -> "Monitor":
        # The one figure that is no metric's: a child that names it may inherit another's mode.
        if self.metric == "val/loss" and self.mode == "max":
            message = "val/loss is the better the less it is: write mode: min beside it"
            raise PydanticCustomError("monitor", "{m}", {"m": message})
        return self


class Expectation(Strict):
    """What a run must show at its end."""

    metric: EvaluatedName
    at: Literal["end", "best"] = "end"
    min: float | None = None
    max: float | None = None
    scale: Scale = "full"

    @model_validator(mode="after")
    def _bounded(self) -> "Expectation":
        if self.min is None and self.max is None:
            raise PydanticCustomError("bound", "write min, max, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            message = f"min {self.min:g} is above max {self.max:g}: no figure is both; swap them"
            raise PydanticCustomError("bound", "{reason}", {"reason": message})
        return self


class Change(Strict):
    """A group of keys that differ from the base, and why."""

    keys: Annotated[list[str], Field(min_length=1)]
    because: Annotated[str, Field(min_length=1)]
    expected: Annotated[
        dict[str, float | str], Field(description="claimed by the author, never asserted")
    ] = {}


class Rule(Strict):
    """A health rule of a recipe, and the scale that it holds for."""

    part: Part[Any]
    scale: Scale | None = None


class Recipe(Strict):
    """A checked recipe. Parts are unbuilt: building them needs data and torch."""

    schema_: Annotated[Literal[1], Field(alias="schema", description="format of this file")]
    scenario: Annotated[str, Field(description="which story the recipe belongs to")]
    name: Annotated[str | None, Field(description="in a run's flat recipe only")] = None
    scale: Annotated[Scale, Field(description="in a run's flat recipe only")] = "full"
    version: Annotated[Positive | None, Field(description="of a published recipe")] = None
    extends: str | None = None
    summary: str = ""
    changes: list[Change] = []
    observed: Annotated[dict[str, Any], Field(description="measured by us, with the command")] = {}
    data: DatasetPart
    task: TaskPart
    sampler: SamplerPart
    optimizer: OptimizerPart
    schedule: SchedulePart
    metrics: list[MetricPart]
    monitor: Monitor
    train: Train
    health: Annotated[
        dict[str, Rule | None],
        Field(description="rules by name; null switches one off"),
        WithJsonSchema({"type": "object"}),  # language/schema.py knows the rules
    ] = {}
    expect: list[Expectation] = []
    allow: Annotated[dict[str, str], Field(description="lints that are meant, and why")] = {}
    sample: dict[str, Any] = {}
    smoke: dict[str, Any] = {}

    @classmethod
    def suggested_keys(cls, context: Mapping[str, Any]) -> dict[str, FieldInfo]:
        """Return the keys that a recipe's file may have; a child has no blocks of a scenario's."""
        left_out = {"name", "scale", *(("sample", "smoke") if context.get("is_child") else ())}
        known = super().suggested_keys(context)
        return {key: field for key, field in known.items() if key not in left_out}

    @field_validator("health", mode="before")
    @classmethod
    def _rules(cls, block: Any) -> dict[str, Rule | None]:
        return rules_of(block)

    @field_serializer("health")
    def _dump_rules(self, rules: dict[str, Rule | None]) -> dict[str, Any]:
        return {name: rule and dump_rule(rule) for name, rule in rules.items()}

    @property
    def root(self) -> str:
        """Where the data are: a folder, a name of the machine profile, or ``sample:...``."""
        return str(getattr(self.data.params, "root", ""))

    def dump(self) -> dict[str, Any]:
        """Return it as plain data, defaults filled in, in the order a recipe is written."""
        return self.model_dump(mode="json", by_alias=True)


def rules_of(block: Any) -> dict[str, Rule | None]:
    """Check a recipe's ``health``: rules by name, each against its own parameters."""
    if not isinstance(block, Mapping):
        raise PydanticCustomError(
            "rules", "should be a mapping of rule names to their values: {dead_class: {}}"
        )
    details: list[InitErrorDetails] = []
    rules: dict[str, Rule | None] = {}
    for name, values in block.items():
        try:
            rules[name] = _rule(name, values)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                loc = each["loc"][1:] if each["loc"][:1] == ("params",) else each["loc"]
                kind = PydanticCustomError("rule", "{m}", {"m": each["msg"]})
                details.append(InitErrorDetails(type=kind, loc=(name, *loc), input=each["input"]))
    if details:
        raise ValidationError.from_exception_data("health", details)
    return rules


def _rule(name: str, values: Any) -> Rule | None:
    if isinstance(values, Rule):
        return values
    if name not in list(health):
        message = f"no health rule is called {name!r}; {suggestion(name, dict.fromkeys(health))}"
        raise ValidationError.from_exception_data(
            name,
            [
                InitErrorDetails(
                    type=PydanticCustomError("rule", "{m}", {"m": message}), loc=(), input=name
                )
            ],
        )
    if values is None:
        return None
    own = (
        {key: value for key, value in values.items() if key != "scale"}
        if isinstance(values, Mapping)
        else values
    )
    scale = values.get("scale") if isinstance(values, Mapping) else None
    part = health.part(name, health.parse_params(name, own))
    return Rule.model_validate({"part": part, "scale": scale})


def dump_rule(rule: Rule) -> dict[str, Any]:
    """Return a health rule as a recipe writes it."""
    params: dict[str, Any] = rule.part.params.model_dump(mode="json")
    return {**params, "scale": rule.scale} if rule.scale else params


_PROSE = ("name", "version", "extends", "summary", "changes", "observed", "allow")


def meaning(recipe: Recipe) -> dict[str, Any]:
    """Return every value of the recipe as published, defaults filled in.

    Prose, the file's format, the data's root and the seed are left out: they do not change what the
    recipe says.
    """
    left_out = (*_PROSE, "schema")
    data = {key: value for key, value in recipe.dump().items() if key not in left_out}
    data["train"] = {key: value for key, value in data["train"].items() if key != "seed"}
    params = {key: value for key, value in data["data"]["params"].items() if key != "root"}
    data["data"] = {**data["data"], "params": params}
    return data


def fingerprint_of_meaning(recipe: Recipe) -> str:
    """Return twelve hex digits that change with every value of the recipe as published."""
    return _digest(meaning(recipe))


def fingerprint_of_run(recipe: Recipe, plugins: Mapping[str, str]) -> str:
    """Return twelve hex digits that change with every value that a run depends on.

    Args:
        recipe: after overlays, ``--set``, seed and data root.
        plugins: file name to sha256 of the run's own parts.
    """
    left_out = (*_PROSE, "sample", "smoke")
    data = {key: value for key, value in recipe.dump().items() if key not in left_out}
    return _digest({"recipe": data, "plugins": dict(plugins)})


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
