import os
import resource
import shutil
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from runner.engine import checkpoint
from runner.engine.checkpoint import load, save
from runner.errors import MachineError


def state(step: int) -> dict[str, object]:
    return {"weights": torch.full((1000,), float(step)), "step": step, "names": ["a", None]}


def write(folder: Path, *steps: int, best: int = 0) -> None:
    for step in steps:
        save(folder, state(step), step, is_best=step == best)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    write(tmp_path / "new", 5)
    loaded = load(tmp_path / "new")
    assert loaded is not None
    assert (loaded.step, loaded.name, loaded.problems) == (5, "step-00000005.pt", ())
    assert torch.equal(loaded.state["weights"], torch.full((1000,), 5.0))


def test_the_two_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3, 4, 5, best=2)
    names = {"step-00000002.pt", "step-00000004.pt", "step-00000005.pt"}
    assert {path.name for path in tmp_path.glob("*.pt")} == names
    assert {path.name for path in tmp_path.glob("*.sha256")} == {f"{n}.sha256" for n in names}
    best = load(tmp_path, "best")
    assert best is not None
    assert best.step == 2


def test_the_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    write(tmp_path, 1)
    text = (tmp_path / "step-00000001.pt.sha256").read_text()
    assert os.system(f"cd '{tmp_path}' && sha256sum --check --status *.sha256") == 0  # noqa: S605
    assert text.endswith("  step-00000001.pt\n")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lose_the_digest(path: Path) -> None:
    path.with_name(path.name + ".sha256").unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [truncate, flip_a_bit, lose_the_digest, empty, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path: Path, damage) -> None:
    write(tmp_path, 1, 2, 3)
    damage(tmp_path / "step-00000003.pt")
    loaded = load(tmp_path)
    assert loaded is not None
    assert loaded.step == 2
    assert [Path(problem.place).name for problem in loaded.problems] == ["step-00000003.pt"]


def test_a_name_that_is_none_is_told_and_the_newest_used(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    (tmp_path / "last").write_text("nonsense")
    loaded = load(tmp_path)
    assert loaded is not None
    assert loaded.step == 2
    assert [problem.message for problem in loaded.problems] == ["names no checkpoint"]


def test_with_none_left_whole_every_one_is_named(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    for path in tmp_path.glob("*.pt"):
        flip_a_bit(path)
    with pytest.raises(MachineError, match="no checkpoint is left whole") as caught:
        load(tmp_path)
    assert len(caught.value.problems) == 3


def test_nothing_written_is_nothing_loaded(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert load(tmp_path / "missing") is None


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", range(12))
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Dies at the n-th fsync or rename of the second save."""
    write(tmp_path, 1, best=1)
    calls = iter(range(100))

    def dies(function):
        def wrapped(*given, **named):
            if next(calls) == at:
                raise Killed
            return function(*given, **named)

        return wrapped

    monkeypatch.setattr(os, "fsync", dies(os.fsync))
    monkeypatch.setattr(Path, "replace", dies(Path.replace))
    with pytest.raises(Killed):
        save(tmp_path, state(2), 2, is_best=True)
    monkeypatch.undo()
    loaded = load(tmp_path)
    assert loaded is not None
    assert loaded.problems == ()
    assert torch.equal(loaded.state["weights"], torch.full((1000,), float(loaded.step)))
    # A run that goes on from the second believes that it is the best so far.
    if loaded.step == 2:
        assert (tmp_path / "best").read_text() == "step-00000002.pt\n"
    write(tmp_path, 3)
    assert not list(tmp_path.glob("*.partial"))


def test_too_little_free_space_is_found_before_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    usage = namedtuple("usage", "total used free")(10, 10, 2000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(MachineError, match=r"MiB needed, 0 MiB free.*free some space"):
        write(tmp_path, 2)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_while_writing_leaves_the_rest_whole(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with files_of_at_most(2000), pytest.raises(MachineError, match="earlier ones are whole"):
        write(tmp_path, 2)
    loaded = load(tmp_path)
    assert loaded is not None
    assert (loaded.step, loaded.problems) == (1, ())


def test_a_folder_that_cannot_be_made_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="make the folder writable") as caught:
        write(tmp_path / "file" / "checkpoints", 1)
    assert caught.value.exit_code == 7


def test_a_checkpoint_is_never_code(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    path = tmp_path / "step-00000002.pt"
    torch.save({"weights": Path("x")}, path)
    digest = checkpoint.hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    loaded = load(tmp_path)
    assert loaded is not None
    assert loaded.step == 1
