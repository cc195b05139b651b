"""Imports go one way; this reads them and holds the tree to it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each may import only what stands before it.
LAYERS = (
    "errors", "counting", "events", "statistics", "surveys", "samples", "progress", "contracts",
    "rules", "plan", "signature", "by_class", "encoders", "registry", "task", "nets", "data",
    "tasks",
    "splitting", "parts", "language", "engine", "insight", "colour", "render", "diff_text",
    "explain_text", "commands", "cli", "__main__",
)  # fmt: skip
ONLY_IN_FACTORIES = {"task", "nets", "data", "tasks"}
CORE = tuple(f"engine.{name}" for name in ("loop", "checkpoint", "distributed", "ema"))
CORE_SEES = {
    "errors", "counting", "events", "statistics", "surveys", "samples", "progress", "contracts",
    "plan", "task", "nets", "engine",
}  # fmt: skip
# A kind of data or of network each; what several need stands beside them, and knows none.
KINDS = {
    *(f"data.{kind}" for kind in ("boxes", "points", "volumes", "segmentation")),
    *(f"nets.{kind}" for kind in ("detection", "pointing", "binary")),
}
WITHOUT_TORCH = (
    "plan", "signature", "by_class", "encoders", "registry", "splitting", "parts", "language",
    "cli", "render", "rules", "commands", "colour", "diff_text", "explain_text",
)  # fmt: skip
PARTS_IMPORT = {*sys.stdlib_module_names, "annotated_types", "pydantic", "pydantic_core", "runner"}
MAY_PRINT = {"cli", "render"}
VAGUE = {"utils", "util", "helpers", "helper", "base", "manager", "managers", "misc", "common"}
LONGEST_MODULE_LINES = 320


@dataclass(frozen=True)
class Import:
    """One import: ``runner.engine.folder`` in ``engine.run``, say."""

    module: str
    target: str
    line: int
    is_local: bool = False
    is_for_types: bool = False

    @property
    def layer(self) -> str:
        return self.module.split(".")[0]

    @property
    def own(self) -> str:
        """The imported module's name below ``runner``; empty for anything else."""
        return self.target.removeprefix("runner.") if self.target.startswith("runner.") else ""

    @property
    def own_layer(self) -> str:
        return self.own.split(".")[0]

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def modules(package: Path) -> dict[str, Path]:
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(package: Path) -> list[Import]:
    known = modules(package)
    return [each for name, path in known.items() for each in _imports_of(name, path, known)]


def _imports_of(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    def visit(node: ast.AST, is_local: bool, is_for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, node.lineno, is_local, is_for_types)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: say runner.x, not a relative import"
            for alias in node.names:
                # ``from runner.engine import loop`` names a module, ``import Run`` does not.
                whole = f"{node.module}.{alias.name}"
                target = whole if whole.removeprefix("runner.") in known else str(node.module)
                yield Import(name, target, node.lineno, is_local, is_for_types)
        is_guard = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        is_body = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, is_local or is_body, is_for_types or is_guard)

    yield from visit(ast.parse(path.read_text(), str(path)), False, False)


def upward(package: Path) -> list[str]:
    """Imports of what stands after, and modules that stand nowhere."""
    place = {layer: number for number, layer in enumerate(LAYERS)}
    found = [
        f"{name} is in no layer"
        for name in modules(package)
        if name.split(".")[0] not in place and name
    ]
    for each in imports(package):
        if not each.own:
            continue
        own = place.get(each.own_layer, len(LAYERS))
        if each.layer not in place or own > place[each.layer]:
            found.append(str(each))
    return found


def cycles(package: Path) -> list[str]:
    """Modules that import themselves by way of others when they are loaded."""
    loaded: dict[str, set[str]] = {name: set() for name in modules(package)}
    for each in imports(package):
        if each.own in loaded and not each.is_local and not each.is_for_types:
            loaded[each.module].add(each.own)
    return [name for name in loaded if name in _reached(loaded, loaded[name])]


def _reached(graph: dict[str, set[str]], start: set[str]) -> set[str]:
    seen: set[str] = set()
    rest = set(start)
    while rest:
        name = rest.pop()
        seen.add(name)
        rest |= graph.get(name, set()) - seen
    return seen


def leaks_into_core(package: Path) -> list[str]:
    """What the loop and its like reach, by whatever way, and must not know."""
    graph: dict[str, set[str]] = {name: set() for name in modules(package)}
    for each in imports(package):
        if each.own:
            graph[each.module].add(each.own)
    return [
        f"{core} reaches {name}"
        for core in CORE
        for name in sorted(_reached(graph, graph.get(core, set())))
        if name.split(".")[0] not in CORE_SEES
    ]


def wrong_in_parts(package: Path) -> list[str]:
    """Parts that know each other, or load more than a schema needs."""
    found = []
    for each in imports(package):
        if each.layer != "parts":
            continue
        is_at_top = not each.is_local and not each.is_for_types
        is_heavy = each.target.split(".")[0] not in PARTS_IMPORT
        is_other = each.own_layer == "parts" and not each.own.startswith(f"{each.module}.")
        if is_other or (is_at_top and (is_heavy or each.own_layer in ONLY_IN_FACTORIES)):
            found.append(str(each))
    return found


def kinds_that_know_each_other(package: Path) -> list[str]:
    """Imports of a kind's room by another kind of the same layer, or by what they share."""

    def kind(name: str) -> str:
        return next((each for each in KINDS if f"{name}.".startswith(f"{each}.")), "")

    return [
        str(each)
        for each in imports(package)
        if kind(each.own) and each.layer == each.own_layer and kind(each.module) != kind(each.own)
    ]


def torch_at_the_top(package: Path) -> list[str]:
    return [
        str(each)
        for each in imports(package)
        if each.layer in WITHOUT_TORCH
        and each.target.split(".")[0] in ("torch", "torchvision")
        and not each.is_local
        and not each.is_for_types
    ]


def prints(package: Path) -> list[str]:
    return [
        f"{name}:{node.lineno} prints"
        for name, path in modules(package).items()
        if name not in MAY_PRINT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write")
    ]


def vague_names(package: Path) -> list[str]:
    return [name for name in modules(package) if VAGUE & set(name.split("."))]


def too_long(package: Path) -> list[str]:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules(package).items()}
    return [f"{name}: {n} lines" for name, n in lengths.items() if n > LONGEST_MODULE_LINES]


RULES = [
    upward, cycles, leaks_into_core, wrong_in_parts, kinds_that_know_each_other, torch_at_the_top,
    prints, vague_names, too_long,
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_has_none(rule):
    assert rule(ROOT / "runner") == []


BROKEN = [
    (upward, {"data/files.py": "def load():\n    from runner.engine import loop\n"}),
    (upward, {"errors.py": "import runner.events\n"}),
    (upward, {"extras.py": ""}),
    (cycles, {"data/a.py": "import runner.data.b\n", "data/b.py": "from runner.data import a\n"}),
    (
        leaks_into_core,
        {
            "engine/loop.py": "from runner.engine.batches import x\n",
            "engine/batches.py": "def f():\n    from runner.registry import losses\n",
        },
    ),
    (
        wrong_in_parts,
        {
            "parts/losses.py": "def f():\n    from runner.parts import metrics\n",
            "parts/metrics.py": "",
        },
    ),
    (wrong_in_parts, {"parts/losses.py": "import numpy as np\n"}),
    (wrong_in_parts, {"parts/losses.py": "from runner.nets.dice import Dice\n"}),
    (
        kinds_that_know_each_other,
        {"data/boxes/a.py": "from runner.data.points import b\n", "data/points/b.py": ""},
    ),
    (
        kinds_that_know_each_other,
        {"nets/reduction.py": "def f():\n    import runner.nets.binary.losses\n"},
    ),
    (torch_at_the_top, {"language/load.py": "try:\n    import torch.nn\nfinally:\n    pass\n"}),
    (prints, {"engine/run.py": "def f():\n    print(1)\n"}),
    (vague_names, {"engine/utils.py": ""}),
    (too_long, {"task.py": "x = 1\n" * 321}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "files"), BROKEN)
def test_a_breach_is_found(rule, files, tmp_path):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert rule(tmp_path)


def test_a_factory_may_import_torch_and_its_types(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "losses.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from torch import Tensor\n"
        "def dice():\n    import torch\n    from runner.nets import dice\n"
    )
    assert not [breach for rule in RULES for breach in rule(tmp_path)]


def test_commands_and_parts_are_known_before_torch_is_loaded():
    names = [
        f"runner.{name}" for name in modules(ROOT / "runner") if name.split(".")[0] in WITHOUT_TORCH
    ]
    assert "runner.cli" in names
    code = f"import sys, importlib\nfor n in {names!r}: importlib.import_module(n)\n"
    code += "print([n for n in ('torch', 'cv2', 'albumentations') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
