"""Train a recipe, or resume a run."""

import argparse
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import render
from runner.counting import number_of
from runner.diff_text import sides
from runner.errors import Problem, RecipeError
from runner.language.differences import differences
from runner.language.known import statistics_at_hand
from runner.language.lints.table import concerns, unknown_allowed
from runner.language.load import Loaded, load
from runner.language.machine import expanded, machine_in_use
from runner.language.misfits import misfits
from runner.language.plugins import load_plugins

if TYPE_CHECKING:
    from runner.engine.session import Session

EXAMPLE = "runner train uav_fixed --set train.epochs=1"

_OF_THE_RUN = ("data", "seed", "smoke", "plugin")
"""What a run that is gone on with brings along."""

_TOLD = 4
"""Keys that are named where a run has other values than its command."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "recipe", nargs="?", metavar="RECIPE", help="a name, a path or a run folder"
    )
    parser.add_argument("--data", metavar="DIR", help="data root, in place of the recipe's")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the run folder (default: a new one)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="overlay a value; repeatable"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="in place of the recipe's")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    parser.add_argument("--smoke", action="store_true", help="a few steps of a tiny model")
    parser.add_argument(
        "--strict", action="store_true", help="exit 4 where an expectation is not met"
    )
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="continue a run in its folder; 'auto' begins or continues --out",
    )
    parser.add_argument(
        "--extend",
        metavar="RUN",
        help="go on from a run's last checkpoint under a longer plan, in a new folder",
    )
    parser.add_argument(
        "--machine", type=Path, metavar="FILE", help="machine profile (or RUNNER_MACHINE)"
    )
    parser.add_argument(
        "--tracker",
        action="append",
        choices=["tensorboard", "wandb", "mlflow"],
        help="where curves go besides the run folder (default tensorboard); repeatable",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, only the end")


def run(arguments: argparse.Namespace) -> int:
    """Train and tell the story; the exit code says how it ended."""
    try:
        return _begin_or_go_on(arguments)
    except BrokenPipeError:
        # The reader of a pipe (head, less) has closed it. Unlike an answer, a training that nobody
        # reads has not done what was asked for; resume continues it.
        render.forget_output()
        return 75


def _begin_or_go_on(arguments: argparse.Namespace) -> int:
    if arguments.extend is not None:
        return _extend(arguments)
    folder = _folder_to_resume(arguments)
    if folder is not None:
        return _resume(arguments, folder)
    if arguments.recipe is None:
        raise RecipeError(Problem("", "RECIPE", "name a recipe; runner list shows those there are"))
    plugins, hashes = arguments.plugin, arguments.plugin_hashes
    return _train(arguments, _load(arguments), plugins, hashes, arguments.out, False)


def _load(arguments: argparse.Namespace) -> Loaded:
    """Load the recipe as it is to be trained.

    Raises: RecipeError: what is wrong with it, as far as it can be told before the data are read.
    """
    loaded = load(
        arguments.recipe,
        sets=arguments.set,
        data=arguments.data,
        seed=arguments.seed,
        is_smoke=arguments.smoke,
    )
    if wrong := misfits(loaded.recipe, loaded.source, lambda: machine_in_use(arguments.machine)):
        raise RecipeError(wrong)
    return loaded


def _folder_to_resume(arguments: argparse.Namespace) -> Path | None:
    """Return the folder of the run to continue; None where a new one begins."""
    if arguments.resume is None:
        return None
    if arguments.resume != "auto":
        place = f"--resume {arguments.resume}"
        _refuse_values(arguments, place, (*_OF_THE_RUN, "recipe", "set", "out"))
        return Path(arguments.resume)
    if arguments.out is None:
        raise RecipeError(Problem("--resume auto", "", "needs --out DIR, the run's folder"))
    if arguments.recipe is None:
        _refuse_values(arguments, "--resume auto", (*_OF_THE_RUN, "set"))
    out: Path = arguments.out
    return out if (out / "run.json").exists() else None


def _refuse_values(arguments: argparse.Namespace, place: str, names: Sequence[str]) -> None:
    """Refuse values that a continued run would not follow."""
    values = {name: getattr(arguments, name) for name in names}
    given = [
        n for n, value in values.items() if not (value is None or value is False or value == [])
    ]
    if given:
        message = f"continues the run as it was begun; leave out {', '.join(given)}"
        raise RecipeError(Problem(place, "", message))


def _extend(arguments: argparse.Namespace) -> int:
    """Begin a longer plan where a run stands, and train it; its learning rates come first."""
    from runner.engine.extension import begin_extension, plan_extension
    from runner.engine.folder import new_path, read_run

    place = f"--extend {arguments.extend}"
    _refuse_values(arguments, place, (*_OF_THE_RUN, "recipe", "resume"))
    origin = Path(arguments.extend)
    record = read_run(origin)
    if record is None:
        raise RecipeError(Problem(str(origin), "--extend", "holds no run; name a run folder"))
    loaded = load(str(origin), sets=arguments.set)
    plugins = [origin / "plugins" / name for name in record.plugins]
    out: Path | None = arguments.out
    # Of the processes of torchrun, the first writes the folder, and tells the others where.
    if os.environ.get("RANK", "0") == "0":
        extension = plan_extension(origin, loaded, arguments.set)
        render.note(render.rates(extension.rates()))
        runs = Path(machine_in_use(arguments.machine).runs).expanduser()
        out = out or new_path(runs, loaded.name, datetime.now(UTC), secrets.token_hex(4))
        begin_extension(extension, out, record.plugins)
    return _train(arguments, loaded, plugins, dict(record.plugins), out, True)


def _resume(arguments: argparse.Namespace, folder: Path) -> int:
    from runner.engine.folder import read_run

    record = read_run(folder)
    if record is None:
        message = "holds no run; name a run folder, or use --resume auto --out DIR"
        raise RecipeError(Problem(str(folder), "--resume", message))
    plugins = [folder / "plugins" / name for name in record.plugins]
    for name, digest in arguments.plugin_hashes.items():
        if record.plugins.get(name, digest) != digest:
            message = "was changed since the run began; restore it, or begin a new run"
            raise RecipeError(Problem(name, "--plugin", message))
    hashes = load_plugins(plugins)
    loaded = load(str(folder / "recipe.yaml"))
    if arguments.resume == "auto" and arguments.recipe is not None:
        asked = _load(arguments)
        if asked.run_fingerprint(arguments.plugin_hashes) != record.run_fingerprint:
            what = _how_they_differ(loaded, asked) or "with other own parts (--plugin)"
            message = f"holds a run of {record.recipe} {what}; name another folder"
            raise RecipeError(Problem(str(folder), "--out", message))
    if record.state in ("done", "stopped"):
        render.note(f"{folder}: {record.state} already: {record.reason}")
        is_unmet = not all(row["met"] for row in record.expectations)
        return 4 if arguments.strict and is_unmet else record.exit_code or 0
    return _train(arguments, loaded, plugins, hashes, folder, True)


def _how_they_differ(held: Loaded, asked: Loaded) -> str:
    """Return which values a run has, and which its command asks for now."""
    differing = differences(held.recipe, asked.recipe)
    told = [
        f"{each} {before}, not {after}" for each in differing for before, after in [sides(each)]
    ]
    more = f" and {number_of(len(told) - _TOLD, 'other keys')}" if len(told) > _TOLD else ""
    return f"with {'; '.join(told[:_TOLD])}{more}" if told else ""


def _train(
    arguments: argparse.Namespace,
    loaded: Loaded,
    plugins: list[Path],
    hashes: dict[str, str],
    out: Path | None,
    resumes: bool,
) -> int:
    # Imported here: nothing before this line needs torch.
    from runner.engine.request import Request
    from runner.engine.session import Session
    from runner.insight.expectations import check_expectations

    recipe = loaded.recipe
    scale = f"{loaded.name}: scale {loaded.scale}, data {recipe.root}, seed {recipe.train.seed}"
    if os.environ.get("RANK", "0") == "0":  # of the processes of torchrun, one speaks
        render.note(scale)
        if not resumes and (said := _lints(arguments, loaded)):
            render.note(said)

    def judge(end: Any, best: Any) -> list[dict[str, Any]]:
        return check_expectations(recipe.expect, recipe.scale, end=end, best=best)

    render.show_progress_of("runner.data")
    with _stop_on_signals() as stop_requested:
        session = Session(
            Request(
                loaded=loaded,
                machine=machine_in_use(arguments.machine),
                out=out,
                device=arguments.device,
                plugins=plugins,
                plugin_hashes=hashes,
                trackers=arguments.tracker or ("tensorboard",),
                resumes=resumes,
                stop_requested=stop_requested,
                judge=judge,
                is_strict=arguments.strict,
                warn=render.note,
            )
        )
        _tell(session, is_quiet=arguments.quiet)
    return session.exit_code


def _lints(arguments: argparse.Namespace, loaded: Loaded) -> str:
    """Return what the lints say of the recipe as it is run.

    Raises: RecipeError: it allows what no lint is called.
    """
    if unknown := unknown_allowed(loaded):
        raise RecipeError(unknown)
    runs = expanded(machine_in_use(arguments.machine).runs)
    return render.lints_in_short(concerns(loaded, statistics_at_hand(loaded, runs)))


def _tell(session: "Session", *, is_quiet: bool) -> None:
    """Show a training's events as they come, then where it lies and what was expected."""
    with closing(session.events()) as events, render.live(is_quiet=is_quiet) as display:
        for event in events:
            if session.assembled is not None:
                display.story.classes = session.assembled.data.spec.classes
                # A run that is continued tells of no start.
                display.story.steps = session.assembled.run.plan.steps
            display.tell(event)
    if session.folder is None:
        return
    for row in session.folder.run.expectations:
        render.note(render.expectation(row))
    render.show(f"run folder: {session.folder.path}")


@contextmanager
def _stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM, SIGINT and SIGUSR1 into a question asked at each step.

    A second Ctrl-C interrupts at once.
    """
    asked: list[int] = []

    def ask(number: int, _: Any) -> None:
        if number == signal.SIGINT and number in asked:
            raise KeyboardInterrupt
        asked.append(number)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
