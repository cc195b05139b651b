"""Names of published encoders, known without importing timm."""

from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from runner.signature import suggestion

SMP = "smp-"
"""Before a name: segmentation_models_pytorch's own encoder, where timm has one of that name too."""

_FILE = Path(__file__).with_name("encoders.txt")


@cache
def encoder_names() -> dict[str, tuple[str, ...]]:
    """Return names by the library that knows them: ``timm 1.0.31``, ``timm, old names``, ..., both.

    Read from ``encoders.txt``, which a test compares with the libraries.
    """
    sections: dict[str, list[str]] = {}
    names: list[str] = []
    for line in _FILE.read_text(encoding="ascii").splitlines():
        if line.startswith("["):
            names = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            names.append(line)
    return {title: tuple(each) for title, each in sections.items()}


def timm_names() -> tuple[str, ...]:
    """Return the names that timm gives its models now."""
    return next(iter(encoder_names().values()))


def smp_names() -> tuple[str, ...]:
    """Return the names of segmentation_models_pytorch's own encoders."""
    known = encoder_names()
    return (*known["segmentation_models_pytorch"], *known["both"])


def _check_timm(name: str) -> str:
    if not _is_timms(name):
        raise _unknown(name, timm_names())
    return name


def _check_any(name: str) -> str:
    own = encoder_names()["segmentation_models_pytorch"]
    if name.startswith(SMP):
        own = smp_names()
        if name.removeprefix(SMP) not in own:
            raise _unknown(name, (*(f"{SMP}{each}" for each in own), *timm_names()))
    elif name not in own and not _is_timms(name.removeprefix("tu-")):
        raise _unknown(name, (*timm_names(), *own))
    return name


def _is_timms(name: str) -> bool:
    # What follows the point names weights, as in resnet50.a1_in1k.
    plain = name.split(".")[0]
    known = plain in timm_names() or plain in encoder_names()["timm, old names"]
    return known or _is_newer(plain)


def _is_newer(name: str) -> bool:
    """Ask timm itself, where the installed one is not the one that the list was made from."""
    listed = next(iter(encoder_names())).removeprefix("timm ")
    if metadata.version("timm") == listed:
        return False
    import timm

    return bool(timm.is_model(name))


def _unknown(name: str, known: tuple[str, ...]) -> PydanticCustomError:
    near = suggestion(name.removeprefix("tu-"), dict.fromkeys(known))
    cure = near if near.startswith("did you mean") else "timm.list_models() names those there are"
    return PydanticCustomError("encoder", "{m}", {"m": f"no encoder is called {name!r}; {cure}"})


class _Named:
    """Marks a name for ``language/schema.py``, which writes the list once for all of them."""

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "x-names": "encoder"}


EncoderName = Annotated[str, AfterValidator(_check_any), _Named()]
"""A timm model, or an encoder of segmentation_models_pytorch (``smp-`` before it says which)."""

TimmName = Annotated[str, AfterValidator(_check_timm), _Named()]
"""A timm model."""
