"""The command line: arguments in, exit codes out."""

import argparse
import atexit
import errno
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from runner import __version__, render
from runner.errors import MachineError, RunnerError

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

COMMANDS = {
    "list": "recipes, or registered parts with their parameters",
    "show": "a recipe, as written or resolved",
    "validate": "check recipes; every problem at once",
    "explain": "what follows from a recipe, or where a value comes from and who reads it",
    "diff": "what differs between two recipes, why, and what follows",
    "analyze": "measure the data of a recipe, find bad files, and say what follows",
    "promote": "publish a draft or a run's overrides as a child recipe",
    "train": "train a recipe, or resume a run",
    "smoke": "two steps, evaluation, checkpoint and resume of each recipe; for CI",
    "trace": "hold what each recipe does against its pinned losses",
    "sample": "write an embedded sample to disk",
    "schema": "JSON Schema of a recipe, for editors",
    "evidence": "train all versions of a scenario on its sample, and table them",
}
"""Each command, in a module of its own under ``runner/commands``, with its line of help."""

_MACHINES_FAULT = (
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE,
)  # fmt: skip
"""What the machine, and no bug of ours, is to blame for."""


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage as every other error of the user's: exit code 2, with the cure."""

    def error(self, message: str) -> NoReturn:
        render.complain(f"{message}; {self.prog} --help shows what it takes")
        raise SystemExit(2)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            name = "/".join(action.option_strings) or action.metavar or action.dest
            cure = _near(value, action.choices)
            if isinstance(action.choices, range):
                cure = f"{action.choices[0]} to {action.choices[-1]}"
            render.complain(f"{name}: there is no {str(value)!r}; {cure}")
            raise SystemExit(2)

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Name the option that is likely to be meant by the first word that nothing takes."""
        word = next((each for each in unknown if each.startswith("-")), unknown[0])
        name = word.partition("=")[0]
        if name.startswith("-"):
            near = _near(name, self._option_string_actions)
            render.complain(f"{self.prog} has no option {name}; {near}")
            raise SystemExit(2)
        self.error(f"nothing takes {word!r}")

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        """Print the help; argparse's own says nothing where it cannot be written."""
        print(self.format_help(), end="", file=file)


def _near(value: Any, known: Iterable[Any]) -> str:
    # Imported here: only a mistake needs it.
    from runner.signature import suggestion

    return suggestion(str(value), dict.fromkeys(map(str, known)))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # What is left at the end goes with the process: looking for garbage in it takes a tenth of the
    # time of a quick answer.
    atexit.register(gc.freeze)
    # Looking for plugins of pydantic's takes longer than checking a recipe, which needs none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        try:
            return _answer(words)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe (head, less) has closed it: nobody is left to tell.
        render.forget_output()
        return 0
    except OSError as error:
        if error.errno not in _MACHINES_FAULT:
            raise
        render.forget_output()
        where = error.filename or "output"
        render.complain(f"{where}: {error.strerror}; free space, or write elsewhere")
        return MachineError.exit_code


def _answer(words: Sequence[str]) -> int:
    parser, own = _parser(words)
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        own.get(arguments.command, parser).refuse(unknown)
    if arguments.command is None:
        parser.print_help()
        return 0
    command = importlib.import_module(f"runner.commands.{arguments.command}")
    try:
        arguments.plugin_hashes = _load_plugins(arguments.plugin)
        code: int = command.run(arguments)
        return code
    except KeyboardInterrupt:
        render.complain("interrupted")
        return 75
    except BrokenPipeError:
        raise
    except (Exception, SystemExit) as error:
        told = error if isinstance(error, RunnerError) else _fault_of_a_plugin(error)
        if told is None:
            raise
        if arguments.debug:
            traceback.print_exc()
        else:
            render.complain(str(told))
        return told.exit_code


def _fault_of_a_plugin(error: BaseException) -> RunnerError | None:
    # Imported here: the answers that need no plugin are quick.
    from runner.language.plugins import plugin_fault

    return plugin_fault(error)


def _load_plugins(files: Sequence[Path]) -> dict[str, str]:
    if not files:
        return {}
    from runner.language.plugins import load_plugins

    return load_plugins(files)


def _imported(name: str) -> ModuleType:
    """Import a module without looking for garbage: what is imported stays."""
    # Not for longer: a training would keep what it has no use for, memory of the device included.
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.enable()


def _parser(words: Sequence[str]) -> tuple[_Parser, dict[str | None, _Parser]]:
    """Build the parser, and that of each command; only the one that is asked for is imported."""
    parser = _Parser(
        prog="runner",
        description="Training recipes that explain themselves.",
        epilog="example: runner train uav_fixed",
    )
    parser.add_argument("--version", action="version", version=f"runner {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    asked = next((word for word in words if word in COMMANDS), None)
    for name, line in COMMANDS.items():
        own = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        own.add_argument("--debug", action="store_true", help="show the traceback of an error")
        own.add_argument(
            "--plugin",
            action="append",
            default=[],
            type=Path,
            metavar="FILE.py",
            help="own parts, registered by this file; repeatable",
        )
        if name == asked:
            module = _imported(f"runner.commands.{name}")
            own.epilog = f"example: {module.EXAMPLE}"
            module.configure(own)
    return parser, {name: commands.choices[name] for name in COMMANDS}
