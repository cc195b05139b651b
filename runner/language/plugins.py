"""Load own parts from Python files that the user names on the command line, never from a recipe."""

import hashlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner.errors import Problem, RecipeError, RunnerError
from runner.language.run_record import read_record
from runner.registry import KINDS

_MODULE = "runner_plugin_"


def load_plugins(files: Sequence[Path]) -> dict[str, str]:
    """Run each file once, so that its ``register`` calls take effect.

    Args:
        files: Python files; two of the same name are refused, since a run keeps them by name.
    Returns: file name to sha256 of its content.
    Raises: RecipeError: a file that cannot be read or run, or that registers a name twice.
    """
    hashes: dict[str, str] = {}
    problems: list[Problem] = []
    for registry in KINDS.values():
        list(registry)  # Our own parts come first, so that it is the plugin whose name is taken.
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            problems.append(
                Problem(
                    str(file), "--plugin", f"cannot be read: {error.strerror}; correct the path"
                )
            )
            continue
        if file.suffix != ".py" or file.name in hashes:
            reason = (
                "two plugins have this name; rename one"
                if file.name in hashes
                else "is no Python file; name one that ends in .py"
            )
            problems.append(Problem(str(file), "--plugin", reason))
            continue
        hashes[file.name] = hashlib.sha256(content).hexdigest()
        problems.extend(_run(file, hashes[file.name]))
    if problems:
        raise RecipeError(problems)
    return hashes


def is_own(factory: Callable[..., Any]) -> bool:
    """Whether a part was registered by a plugin."""
    return factory.__module__.startswith(_MODULE)


@contextmanager
def blaming_plugins() -> Iterator[None]:
    """Turn what a user's own part raises into an error that names its file and line.

    Raises: RecipeError: the error passed through a plugin's code; any other is left as it is.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        fault = plugin_fault(error)
        if fault is None:
            raise
        raise fault from error


def plugin_fault(error: BaseException) -> RecipeError | None:
    """Return the error that blames a plugin's line; None where no plugin had a part in it."""
    place = None if isinstance(error, RunnerError) else _line_in_plugin(error)
    if place is None:
        return None
    message = f"{_said(error)}; correct the plugin, or see the whole traceback with --debug"
    return RecipeError(Problem(place, "--plugin", message))


def _line_in_plugin(error: BaseException) -> str | None:
    """Return the innermost line of the user's own that an error passed through: ``file:line``."""
    files = _own_files()
    passed = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename in files
    ]
    # An error of a loader's worker process brings its traceback as text.
    for file, line in re.findall(r'File "(.+?)", line (\d+)', str(error)):
        if file in files:
            passed.append((file, int(line)))
    return f"{passed[-1][0]}:{passed[-1][1]}" if passed else None


def _own_files() -> set[str]:
    """Return the plugins' files, and those of the user's other modules that they may have imported.

    What is installed, Python itself and the runner are nobody's own.
    """
    modules = list(sys.modules.items())
    loaded = [(name, getattr(module, "__file__", None) or "") for name, module in modules]
    plugins = {file for name, file in loaded if name.startswith(_MODULE)}
    if not plugins:
        return set()
    library = str(Path(os.__file__).parent)
    folders = {Path(file).parent for file in plugins}
    folders |= {
        Path(entry).resolve()
        for entry in sys.path
        if not entry.startswith(library) and "-packages" not in entry
    }
    others = {
        file
        for name, file in loaded
        if name.partition(".")[0] not in ("runner", "__main__")
        and any(Path(file) in _files_of(name, folder) for folder in folders)
    }
    return plugins | others


def _files_of(module: str, folder: Path) -> tuple[Path, Path]:
    """Return the files that a module of this name has in a folder that it is imported from."""
    path = folder.joinpath(*module.split("."))
    return path.with_name(f"{path.name}.py"), path / "__init__.py"


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    if "Original Traceback" in str(error):
        return lines[-1]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def load_plugins_of_run(folder: Path) -> None:
    """Load the own parts that a run keeps beside its recipe; nothing where it has none.

    Two runs may keep different states of one file: the parts of the one loaded last hold, and
    recipes that were checked before keep theirs.

    Raises: RecipeError: a file is not what the run began with, or cannot be run.
    """
    kept = kept_plugins(folder)
    problems = []
    for name, digest in kept.items():
        file = folder / "plugins" / name
        if Path(name).name != name or not file.is_file() or _sha256(file) != digest:
            message = "was changed since the run began; restore it, or begin a new run"
            problems.append(Problem(str(file), "--plugin", message))
    if problems:
        raise RecipeError(problems)
    for name, digest in kept.items():
        _forget_others(Path(name).stem, digest)
    if kept:
        load_plugins([folder / "plugins" / name for name in kept])


def kept_plugins(folder: Path) -> dict[str, str]:
    """Return file name to sha256 of the own parts that a run began with.

    Raises: RecipeError: its record is damaged.
    """
    record = read_record(folder)
    try:
        kept: dict[str, str] = dict(record.get("plugins", {}))
    except (ValueError, TypeError) as error:
        message = "is no record of a run; name another"
        raise RecipeError(Problem(str(folder / "run.json"), "", message)) from error
    return kept


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _forget_others(stem: str, digest: str) -> None:
    """Forget the parts of another file of this name, loaded earlier in this process."""
    prefix, name = f"{_MODULE}{stem}_", _module_name(stem, digest)
    for module in [each for each in sys.modules if each.startswith(prefix) and each != name]:
        del sys.modules[module]
        for registry in KINDS.values():
            registry.forget(module)


def _module_name(stem: str, digest: str) -> str:
    # The name holds the content's hash: the same file is not run twice in one process, and
    # loader workers that unpickle its classes find the module again.
    return f"{_MODULE}{stem}_{digest[:12]}"


def _run(file: Path, digest: str) -> list[Problem]:
    file = file.resolve()
    name = _module_name(file.stem, digest)
    if name in sys.modules:
        return []
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None, file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        for registry in KINDS.values():
            # A schema is made when first asked for; a wrong annotation is told now, with its file.
            for part in registry:
                if registry[part].factory.__module__ == name:
                    _ = registry[part].params
    except (Exception, SystemExit) as error:
        # A plugin is the user's own program: whatever it raises is shown with its line.
        del sys.modules[name]
        return [
            Problem(f"{file}:{_line(error, file)}", "--plugin", f"{type(error).__name__}: {error}")
        ]
    return []


def _line(error: BaseException, file: Path) -> int:
    """Return the last line of ``file`` that the error passed through."""
    line, trace = 0, error.__traceback__
    if isinstance(error, SyntaxError) and error.lineno:
        line = error.lineno
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
