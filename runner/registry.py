"""Parts that a recipe can name, each described by the signature of its factory.

A factory is an ordinary typed function. What stands before its ``/`` comes from the runner,
what stands after its ``*`` comes from the recipe, and its name is the recipe's name:

    @losses.register
    def dice(spec: DataSpec, /, *, smooth: Annotated[float, Field(gt=0)] = 1.0) -> Loss:
        # Its docstring's Args block says what each parameter means.
"""

import importlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic import Strict as StrictType
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Strict(BaseModel):
    """A mapping of a recipe: no unknown key, no conversion, no change after it was checked."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, validate_default=True, allow_inf_nan=False,
        arbitrary_types_allowed=True, protected_namespaces=(),
    )  # fmt: skip

    @model_validator(mode="wrap")
    @classmethod
    def _suggest_keys(cls, data: Any, handler: ModelWrapValidatorHandler["Strict"]) -> "Strict":
        try:
            return handler(data)
        except ValidationError as error:
            known = {field.alias or name: field for name, field in cls.model_fields.items()}
            details = [_with_hint(each, known) for each in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(cls.__name__, details) from None


def _with_hint(error: Any, known: Mapping[str, FieldInfo]) -> InitErrorDetails:
    """Turn an unknown key into an error that says which key was meant."""
    kind: str | PydanticCustomError = error["type"]
    if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
        message = "nothing reads this key; " + suggestion(str(error["loc"][0]), known)
        kind = PydanticCustomError("unknown_key", "{reason}", {"reason": message})
    elif error["type"] not in _STANDARD_ERRORS or "error" in error.get("ctx", {}):
        # Of a type of its own: as "value_error" the next level up would ask for its exception.
        name = "invalid" if error["type"] in _STANDARD_ERRORS else error["type"]
        kind = PydanticCustomError(name, "{reason}", {"reason": error["msg"]})
    return InitErrorDetails(
        type=kind, loc=error["loc"], input=error["input"], ctx=error.get("ctx", {})
    )


_STANDARD_ERRORS = frozenset(get_args(core_schema.ErrorType))


def suggestion(name: str, known: Mapping[str, Any]) -> str:
    """Return ``did you mean 'x'?``, or the list of what is known."""
    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(known)}" if known else "nothing can be set here"


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part named by a recipe: its values are checked, it is not yet built."""

    name: str
    params: BaseModel
    factory: Callable[..., T]

    def build(self, *given: Any) -> T:
        """Call the factory with what the runner gives and what the recipe says."""
        return self.factory(*given, **dict(self.params))

    def dump(self) -> dict[str, Any]:
        """Return it as a recipe writes it, defaults filled in."""
        return {"name": self.name, "params": self.params.model_dump(mode="json")}


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered factory; its schema is made when first asked for."""

    factory: Callable[..., T]

    @property
    def summary(self) -> str:
        """The first line of the factory's docstring."""
        return (inspect.getdoc(self.factory) or "").split("\n", 1)[0]

    @cached_property
    def params(self) -> type[Strict]:
        """The pydantic model of what a recipe may set."""
        return params_model(self.factory)


class Registry(Generic[T]):
    """The parts of one kind; also the pydantic type of a recipe field that names one."""

    def __init__(self, kind: str, module: str) -> None:
        self.kind = kind
        self._module = module
        self._entries: dict[str, Entry[T]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._filled()))

    def __getitem__(self, name: str) -> Entry[T]:
        return self._filled()[name]

    def _filled(self) -> dict[str, Entry[T]]:
        # Our own parts register when first looked for, so that importing the registry is cheap.
        importlib.import_module(self._module)
        return self._entries

    def register(self, factory: F) -> F:
        """Make a factory known under its own name.

        Raises: TypeError: the name is taken, or a parameter could not be a recipe's.
        """
        name = factory.__name__
        if name in self._entries:
            raise TypeError(f"{self.kind} {name!r} is registered twice; give yours another name")
        for parameter in inspect.signature(factory).parameters.values():
            given = parameter.kind is parameter.POSITIONAL_ONLY
            written = parameter.kind is parameter.KEYWORD_ONLY
            if not given and (not written or parameter.annotation is parameter.empty):
                raise TypeError(
                    f"{name}({parameter}): write it before '/' (given by the runner) "
                    "or after '*' with a type (given by the recipe)"
                )
        self._entries[name] = Entry(factory)
        return factory

    def forget(self, module: str) -> None:
        """Forget what a module registered; recipes that were checked before keep their parts."""
        for name in [n for n, e in self._entries.items() if e.factory.__module__ == module]:
            del self._entries[name]

    def parse(self, block: Any) -> Part[T]:
        """Check ``{name: ..., params: {...}}`` against the signature of the named factory."""
        if isinstance(block, Part):
            return block
        if not isinstance(block, Mapping) or not isinstance(block.get("name"), str):
            raise PydanticCustomError(
                "part",
                "names no {kind}; write {example}",
                {"kind": self.kind, "example": "{name: ..., params: {...}}"},
            )
        name, entries = block["name"], self._filled()
        if name not in entries:
            message = f"no {self.kind} is called {name!r}; {suggestion(name, entries)}"
            raise _error_at(PydanticCustomError("part", "{m}", {"m": message}), ("name",), name)
        for key in block:
            if key not in ("name", "params"):
                hint = suggestion(key, entries[name].params.model_fields)
                message = f"nothing reads this key; a part has name and params: {hint}"
                error = PydanticCustomError("unknown_key", "{m}", {"m": message})
                raise _error_at(error, (key,), block[key])
        return Part(name, self.parse_params(name, block.get("params", {})), entries[name].factory)

    def parse_params(self, name: str, params: Any) -> Strict:
        """Check the params of a part that is known to exist; errors are below ``params``."""
        try:
            return self[name].params.model_validate(params)
        except ValidationError as error:
            details = [
                {**_with_hint(each, {}), "loc": ("params", *each["loc"])}
                for each in error.errors(include_url=False)
            ]
            raise ValidationError.from_exception_data(name, details) from None  # type: ignore[arg-type]

    def __get_pydantic_core_schema__(self, *_: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda part: part.dump()
            ),
        )

    def __get_pydantic_json_schema__(self, *_: Any) -> dict[str, Any]:
        # ``language/schema.py`` turns this mark into a reference: parts may nest in themselves.
        return {"x-registry": self.kind}


def _error_at(
    error: PydanticCustomError, loc: tuple[str | int, ...], value: Any
) -> ValidationError:
    return ValidationError.from_exception_data(
        "part", [InitErrorDetails(type=error, loc=loc, input=value)]
    )


def params_model(factory: Callable[..., Any]) -> type[Strict]:
    """Make the pydantic model of a factory's keyword-only parameters.

    Only their annotations are evaluated: positional and return types may name torch under
    ``TYPE_CHECKING``.
    """
    scope = vars(sys.modules[factory.__module__])
    described = described_params(factory)
    model_fields: dict[str, Any] = {}
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        hint = parameter.annotation
        if isinstance(hint, str):
            hint = eval(hint, scope)  # noqa: S307 - our own or a plugin's source, never a recipe
        default = ... if parameter.default is parameter.empty else parameter.default
        text = described.get(parameter.name)
        model_fields[parameter.name] = (
            _accepting_lists(hint),
            FieldInfo(default=default, description=text) if text else default,
        )
    from pydantic import create_model

    return create_model(factory.__name__, __base__=Strict, **model_fields)


def described_params(factory: Callable[..., Any]) -> dict[str, str]:
    """Return the sentences of a docstring's ``Args:`` block by parameter."""
    block = re.search(r"^Args:\n((?:[ \t]+.*\n?)+)", inspect.getdoc(factory) or "", re.MULTILINE)
    found: dict[str, str] = {}
    if block:
        for name, text in re.findall(
            r"^ {4}(\w+): ((?:.*\n?(?: {5,}.*\n?)*))", block[1], re.MULTILINE
        ):
            found[name] = " ".join(text.split())
    return found


def _accepting_lists(hint: Any) -> Any:
    """Let a tuple be written as a YAML list, which strict pydantic refuses."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[_accepting_lists(arguments[0]), *arguments[1:]]
    if origin is tuple:
        inner = tuple(a if a is Ellipsis else _accepting_lists(a) for a in arguments)
        return Annotated[tuple[inner], StrictType(False)]  # type: ignore[valid-type]
    if origin in (Union, types.UnionType):
        return Union[tuple(_accepting_lists(a) for a in arguments)]  # noqa: UP007
    if origin in (dict, list):
        return origin[tuple(_accepting_lists(a) for a in arguments)]
    return hint


datasets: Registry[Any] = Registry("dataset", "runner.parts.datasets")
transforms: Registry[Any] = Registry("transform", "runner.parts.transforms")
samplers: Registry[Any] = Registry("sampler", "runner.parts.samplers")
models: Registry[Any] = Registry("model", "runner.parts.models")
losses: Registry[Any] = Registry("loss", "runner.parts.losses")
tasks: Registry[Any] = Registry("task", "runner.parts.tasks")
optimizers: Registry[Any] = Registry("optimizer", "runner.parts.optimizers")
schedules: Registry[Any] = Registry("schedule", "runner.parts.schedules")
metrics: Registry[Any] = Registry("metric", "runner.parts.metrics")
health: Registry[Any] = Registry("health rule", "runner.parts.health")

KINDS: dict[str, Registry[Any]] = {
    "models": models, "losses": losses, "datasets": datasets, "transforms": transforms,
    "samplers": samplers, "schedules": schedules, "optimizers": optimizers,
    "metrics": metrics, "health": health, "tasks": tasks,
}  # fmt: skip
"""Every registry by the name that ``runner list`` knows it by."""

DatasetPart = Annotated[Part[Any], datasets]
TransformPart = Annotated[Part[Any], transforms]
SamplerPart = Annotated[Part[Any], samplers]
ModelPart = Annotated[Part[Any], models]
LossPart = Annotated[Part[Any], losses]
TaskPart = Annotated[Part[Any], tasks]
OptimizerPart = Annotated[Part[Any], optimizers]
SchedulePart = Annotated[Part[Any], schedules]
MetricPart = Annotated[Part[Any], metrics]
