"""Read published recipes as a commit of git holds them, without checking it out."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import MachineError, Problem, RecipeError
from runner.language.document import LARGEST_BYTES
from runner.registry import suggestion

if TYPE_CHECKING:
    from subprocess import CompletedProcess

# What git takes for a revision, less what could be an option, a range or a path in the tree.
_REVISION = re.compile(r"[A-Za-z0-9_][\w./~^@{}-]*")
_LONGEST_S = 20
_SHOWN_DIGITS = 10


@dataclass(frozen=True)
class Revision:
    """A commit, as the place that recipes are read from.

    Attributes:
        folder: of the published recipes, in a checkout of git.
        text: as the user wrote it.
        commit: its full name.
    """

    folder: Path = field(compare=False)
    text: str = field(compare=False)
    commit: str

    def shown(self, path: Path) -> str:
        """Return a recipe's file as the user would name it."""
        return f"{path.stem}@{self.text}"

    def name(self, path: Path) -> str:
        """Return a name for a recipe that stays right when branches move, fit for a folder."""
        return f"{path.stem}@{self.commit[:_SHOWN_DIGITS]}"

    def read_text(self, path: Path) -> str:
        """Return the text of a recipe.

        Raises: RecipeError: the commit holds no such recipe, or it is too large, or no text.
        """
        shown = self.shown(path)
        blob = f"{self.commit}:./{path.name}"
        size = _git(self.folder, "cat-file", "-s", blob)
        if size.returncode != 0:
            hint = suggestion(path.stem, dict.fromkeys(self._names()))
            raise RecipeError(Problem(shown, "", f"there is no such recipe; {hint}"))
        if int(size.stdout) > LARGEST_BYTES:
            message = f"is larger than {LARGEST_BYTES >> 20} MiB; a recipe is a few kilobytes"
            raise RecipeError(Problem(shown, "", message))
        content = _git(self.folder, "cat-file", "blob", blob).stdout
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            message = f"is not text in UTF-8: byte {error.start}; name another revision"
            raise RecipeError(Problem(shown, "", message)) from error

    def _names(self) -> list[str]:
        listed = _git(self.folder, "ls-tree", "--name-only", self.commit)
        return [Path(name).stem for name in listed.stdout.decode().split() if ".yaml" in name]


def open_revision(folder: Path, text: str, reference: str) -> Revision:
    """Return the commit that a revision names.

    Args:
        folder: of the published recipes.
        text: a branch, a tag, a commit, ``HEAD~3``.
        reference: what the user typed, for the errors.
    Raises: RecipeError: no such revision, or no checkout of git. MachineError: there is no git.
    """
    problem = f"no revision of git is called {text!r}; git log --oneline recipes shows some"
    if not _REVISION.fullmatch(text) or ".." in text:
        raise RecipeError(Problem(reference, "", problem))
    found = _git(folder, "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}")
    if found.returncode == 0:
        return Revision(folder, text, found.stdout.decode().strip())
    said = found.stderr.decode(errors="replace").strip().splitlines()
    if said and "not a git repository" in said[0]:
        problem = "@REVISION needs the recipes in a checkout of git, and they lie in none"
    elif said:
        problem = f"git cannot read it: {said[0]}"
    raise RecipeError(Problem(reference, "", problem))


def _git(folder: Path, *words: str) -> "CompletedProcess[bytes]":
    import subprocess  # here: few commands ask git, and all import this module

    # A hook's GIT_DIR would name another repository; nothing here may ask or fetch.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    command = ["git", "-C", str(folder), *words]
    try:
        return subprocess.run(command, capture_output=True, env=environment, timeout=_LONGEST_S)
    except FileNotFoundError as error:
        message = "is not installed; install it, or name recipes without @REVISION"
        raise MachineError(Problem("git", "", message)) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(Problem("git", "", f"does not answer: {error}")) from error
