"""The list of encoders is what the installed libraries know.

    PYTHONPATH=. .venv/bin/python tests/nets/test_encoders.py

writes it anew.
"""

from importlib import metadata

import pytest
import timm
from segmentation_models_pytorch.encoders import encoders as smp_encoders
from timm.models._registry import _deprecated_models

import runner.encoders
from runner.encoders import EncoderName, encoder_names
from runner.signature import Strict

HEADING = """\
# Names of encoders, so that a recipe is checked without importing timm.
# tests/nets/test_encoders.py writes and compares this file.
"""


class Named(Strict):
    encoder: EncoderName


def names_now() -> dict[str, tuple[str, ...]]:
    # smp's own ``timm-`` and ``tu-`` names are what timm itself has.
    own = [name for name in smp_encoders if not name.startswith(("timm-", "tu-"))]
    return {
        f"timm {metadata.version('timm')}": tuple(sorted(timm.list_models())),
        "timm, old names": tuple(sorted(_deprecated_models)),
        "segmentation_models_pytorch": tuple(sorted(n for n in own if not timm.is_model(n))),
        "both": tuple(sorted(n for n in own if timm.is_model(n))),
    }


def as_text() -> str:
    sections = ("\n".join(("", f"[{title}]", *names, "")) for title, names in names_now().items())
    return HEADING + "".join(sections)


def test_the_list_is_what_the_installed_libraries_know():
    listed = next(iter(encoder_names()))
    if listed != f"timm {metadata.version('timm')}":
        pytest.skip(f"the list was made from {listed}; another timm is asked itself")
    assert encoder_names() == names_now()


@pytest.mark.parametrize(
    "name", ["resnet18", "tu-resnet18", "smp-resnet18", "mit_b0", "smp-mit_b0"]
)
def test_encoders_of_both_libraries_are_known(name):
    assert Named(encoder=name).encoder == name


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("smp-resnet81", "did you mean 'smp-resnet18'"),
        ("smp-convnext_tiny", "did you mean 'convnext_tiny'"),
        ("resnet1", "did you mean 'resnet18'"),
    ],
)
def test_a_misspelt_encoder_is_answered_with_the_nearest(name, cure):
    with pytest.raises(ValueError, match="no encoder is called") as caught:
        Named(encoder=name)
    assert cure in str(caught.value)


if __name__ == "__main__":
    runner.encoders._FILE.write_text(as_text(), encoding="ascii")
