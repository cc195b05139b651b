"""Parts that a recipe can name, each described by the signature of its factory.

A factory is an ordinary typed function. What stands before its ``/`` comes from the runner,
what stands after its ``*`` comes from the recipe, and its name is the recipe's name:

    @losses.register
    def dice(spec: DataSpec, /, *, smooth: Annotated[float, Field(gt=0)] = 1.0) -> Loss:
        # Its docstring's Args block says what each parameter means.
"""

import importlib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from runner.counting import number_of
from runner.errors import Problem, RecipeError
from runner.signature import Strict, params_model, suggestion, unlike, where_defined, with_hint

__all__ = [
    "KINDS", "DatasetPart", "LossPart", "MetricPart", "ModelPart", "OptimizerPart", "Part",
    "Registry", "SamplerPart", "SchedulePart", "Strict", "TaskPart", "TransformPart", "datasets",
    "health", "losses", "metrics", "models", "optimizers", "samplers", "schedules", "suggestion",
    "tasks", "transforms",
]  # fmt: skip

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part named by a recipe: its values are checked, it is not yet built."""

    name: str
    params: BaseModel
    factory: Callable[..., T]
    gives: tuple[str, ...] = ()

    def build(self, *given: Any) -> T:
        """Call the factory with what the runner gives and what the recipe says.

        Raises: RecipeError: it does not take what it is given, or returns what is no such part.
        """
        if misfit := unlike(_parameters(self.factory), (len(given),)):
            message = f"takes {misfit}, and is given {number_of(len(given), 'values')} here; "
            message += "runner/contracts.py says what each kind of part is given"
            raise RecipeError(Problem(where_defined(self.factory), self.name, message))
        built = self.factory(*given, **dict(self.params))
        lacking = [name for name in self.gives if not hasattr(built, name)]
        if lacking:
            message = (
                f"returns {type(built).__name__}, which has no {', '.join(lacking)}; "
                "runner/contracts.py says what each kind of part returns"
            )
            raise RecipeError(Problem(where_defined(self.factory), self.name, message))
        return built

    def dump(self) -> dict[str, Any]:
        """Return it as a recipe writes it, defaults filled in."""
        return {"name": self.name, "params": self.params.model_dump(mode="json")}


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered factory; its schema is made when first asked for.

    Attributes:
        factory: of the parts.
        foretold: what is known of a part before it is built; None where nobody says.
    """

    factory: Callable[..., T]
    foretold: Callable[..., Any] | None = None

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

    def __init__(
        self, kind: str, module: str, *gives: str, given: Sequence[str] | None = None
    ) -> None:
        """Make a registry without parts.

        Args:
            kind: what a part of it is called.
            module: imported when a part is first looked for; it registers our own.
            gives: attributes that whatever a factory returns must have.
            given: what the runner gives a factory, in words: each of the ways; anything where None.
        """
        self.kind = kind
        self._module = module
        self._gives = gives
        self._given = given
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

        Raises: TypeError: the name is taken, a parameter could not be a recipe's, or what stands
            before ``/`` is not what the runner gives this kind.
        """
        name = factory.__name__
        if name in self._entries:
            raise TypeError(f"{self.kind} {name!r} is registered twice; give yours another name")
        parameters = _parameters(factory)
        for parameter in parameters:
            given = parameter.kind is parameter.POSITIONAL_ONLY
            written = parameter.kind is parameter.KEYWORD_ONLY
            if not given and (not written or parameter.annotation is parameter.empty):
                raise TypeError(
                    f"{name}({parameter}): write it before '/' (given by the runner) "
                    "or after '*' with a type (given by the recipe)"
                )
        ways = self._given
        if ways is not None and (misfit := unlike(parameters, [len(way.split()) for way in ways])):
            shown = " or ".join(f"({', '.join(way.split())})" if way else "nothing" for way in ways)
            article = "an" if self.kind[0] in "aeiou" else "a"
            raise TypeError(
                f"{name} takes {misfit} before its '/', and {article} {self.kind} is given {shown} "
                "by the runner; correct its signature"
            )
        self._entries[name] = Entry(factory)
        return factory

    def foretells(self, factory: Callable[..., Any]) -> Callable[[F], F]:
        """Declare what is known of a factory's parts before they are built, data and torch aside.

        The decorated function is given a part's checked params and, after them:

        - of a dataset: a function that gives the root's folder, or None where none is at hand;
          it returns the classes in the order of their indices, or None where only the data tell.
        - of a metric: the classes; it returns all that ``compute`` may return.
        - of a task: the classes; it returns all that ``figures`` may return.

        Where the classes are not known they are ``*``, and so are figures of each class.
        """

        def declare(function: F) -> F:
            name = factory.__name__
            self._entries[name] = replace(self._entries[name], foretold=function)
            return function

        return declare

    def foretold(self, part: Part[T], *given: Any) -> Any:
        """Return what is known of a part before it is built; None where nobody says."""
        entry = self._filled().get(part.name)
        if entry is None or entry.foretold is None or entry.factory is not part.factory:
            return None
        return entry.foretold(part.params, *given)

    def forget(self, module: str) -> None:
        """Forget what a module registered; recipes that were checked before keep their parts."""
        for name in [n for n, e in self._entries.items() if e.factory.__module__ == module]:
            del self._entries[name]

    def parse(self, block: Any) -> Part[T]:
        """Check ``{name: ..., params: {...}}`` against the signature of the named factory."""
        if isinstance(block, Part):
            return block
        if not isinstance(block, Mapping):
            raise self._unnamed()
        name, entries = block.get("name"), self._filled()
        unknown = [key for key in block if key not in ("name", "params")]
        if unknown:
            fields = entries[name].params.model_fields if name in entries else {}
            raise _errors_at(unknown, block, ("name", "params", *fields))
        if not isinstance(name, str):
            raise self._unnamed()
        if name not in entries:
            message = f"no {self.kind} is called {name!r}; {suggestion(name, entries)}"
            raise _error_at(PydanticCustomError("part", "{m}", {"m": message}), ("name",), name)
        return self.part(name, self.parse_params(name, block.get("params", {})))

    def part(self, name: str, params: Strict) -> Part[T]:
        """Return the part of a known name with values that have been checked."""
        return Part(name, params, self[name].factory, self._gives)

    def _unnamed(self) -> PydanticCustomError:
        values = {"kind": self.kind, "example": "{name: ..., params: {...}}"}
        return PydanticCustomError("part", "names no {kind}; write {example}", values)

    def parse_params(self, name: str, params: Any) -> Strict:
        """Check the params of a part that is known to exist; errors are below ``params``."""
        try:
            return self[name].params.model_validate(params)
        except ValidationError as error:
            details = [
                {**with_hint(each, {}), "loc": ("params", *each["loc"])}
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


def _errors_at(
    unknown: Sequence[Any], block: Mapping[Any, Any], known: Sequence[str]
) -> ValidationError:
    details = []
    for key in unknown:
        hint = suggestion(str(key), dict.fromkeys(known))
        message = f"nothing reads this key; a part has name and params: {hint}"
        error = PydanticCustomError("unknown_key", "{m}", {"m": message})
        details.append(InitErrorDetails(type=error, loc=(str(key),), input=block[key]))
    return ValidationError.from_exception_data("part", details)


def _parameters(factory: Callable[..., Any]) -> Collection[inspect.Parameter]:
    return inspect.signature(factory).parameters.values()


def _error_at(
    error: PydanticCustomError, loc: tuple[str | int, ...], value: Any
) -> ValidationError:
    return ValidationError.from_exception_data(
        "part", [InitErrorDetails(type=error, loc=loc, input=value)]
    )


datasets: Registry[Any] = Registry(
    "dataset", "runner.parts.datasets", "spec", "splits", "fingerprint", given=("context",)
)
transforms: Registry[Any] = Registry(
    "transform", "runner.parts.transforms", "__call__", given=("",)
)
samplers: Registry[Any] = Registry(
    "sampler", "runner.parts.samplers", "__len__", "epoch", given=("split batch_size",)
)
models: Registry[Any] = Registry(
    "model", "runner.parts.models", "parameters", "forward", given=("spec", "spec backbone")
)
losses: Registry[Any] = Registry("loss", "runner.parts.losses", "__call__", given=("spec",))
tasks: Registry[Any] = Registry("task", "runner.parts.tasks", "losses", "outputs", given=("spec",))
optimizers: Registry[Any] = Registry(
    "optimizer", "runner.parts.optimizers", "step", "param_groups", "defaults",
    given=("named_parameters",),
)  # fmt: skip
schedules: Registry[Any] = Registry(
    "schedule", "runner.parts.schedules", "__call__", given=("horizon",)
)
metrics: Registry[Any] = Registry(
    "metric", "runner.parts.metrics", "update", "state", "compute", given=("spec",)
)
health: Registry[Any] = Registry("health rule", "runner.parts.health", "__call__", given=("",))

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
