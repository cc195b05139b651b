"""A number and its noun, which agree."""


def number_of(number: float, things: str, form: str = "") -> str:
    """Return ``1 step`` and ``2 steps``.

    Args:
        number: how many.
        things: what, in the plural.
        form: that the number is written in, such as ``,`` or ``g``.
    """
    return f"{number:{form}} {one_of(things) if number == 1 else things}"


def one_of(things: str) -> str:
    """Return the singular of a regular plural."""
    if things.endswith("ies"):
        return f"{things[:-3]}y"
    return things[:-2] if things.endswith(("xes", "sses")) else things[:-1]
