"""The schema that a factory's signature is, and what is said where a value breaks it."""

import inspect
import re
import sys
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic import Strict as StrictType
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema


class Strict(BaseModel):
    """A mapping of a recipe: no unknown key, no conversion, no change after it was checked."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, validate_default=True, allow_inf_nan=False,
        arbitrary_types_allowed=True, protected_namespaces=(), defer_build=True,
    )  # fmt: skip

    @model_validator(mode="wrap")
    @classmethod
    def _suggest_keys(
        cls, data: Any, handler: ModelWrapValidatorHandler["Strict"], info: ValidationInfo
    ) -> "Strict":
        try:
            return handler(data)
        except ValidationError as error:
            known = cls.suggested_keys(info.context or {})
            details = [with_hint(each, known) for each in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(cls.__name__, details) from None

    @classmethod
    def suggested_keys(cls, context: Mapping[str, Any]) -> dict[str, FieldInfo]:
        """Return the keys that may be meant by an unknown one.

        Args:
            context: of the validation.
        """
        del context
        return {field.alias or name: field for name, field in cls.model_fields.items()}


def with_hint(error: Any, known: Mapping[str, FieldInfo]) -> InitErrorDetails:
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


def where_defined(factory: Callable[..., Any]) -> str:
    """Return file and line of a factory."""
    code = inspect.unwrap(factory).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def unlike(parameters: Collection[inspect.Parameter], counts: Sequence[int]) -> str:
    """Return what a factory takes from the runner, where it takes none of these many values."""
    taken = [each for each in parameters if each.kind is each.POSITIONAL_ONLY]
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return ""
    least = sum(each.default is each.empty for each in taken)
    if any(least <= count <= len(taken) for count in counts):
        return ""
    return f"({', '.join(each.name for each in taken)})" if taken else "nothing"


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
