"""Write a recipe as YAML that our own reader reads back to the same values."""

import re
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes no anchors, keeps the order of keys, and quotes what our reader would refuse."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True

    def represent_float(self, data: float) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:float", repr(data))


# PyYAML would write 1e-05 as text (no dot) and read it back as text; we read it as a number.
_Dumper.add_representer(float, _Dumper.represent_float)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?$"),
    list("-+0123456789."),
)


def to_yaml(data: Any) -> str:
    """Return plain data as YAML; short lists of scalars stay on one line."""
    text: str = yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        width=100,
        allow_unicode=True,
    )
    return text
