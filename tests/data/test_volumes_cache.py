from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from runner.data.volumes.cache import VolumeCache
from runner.errors import DataError, MachineError, Problem

SHAPE, DTYPE = (6, 4, 5), np.dtype("uint16")
VOLUME = np.arange(120, dtype=DTYPE).reshape(SHAPE)


def slabs() -> Iterator[np.ndarray]:
    yield VOLUME[:1]
    yield VOLUME[1:4]
    yield VOLUME[4:]


def never() -> Iterator[np.ndarray]:
    raise AssertionError("the entry is there: nothing is read")


def test_a_volume_is_filled_once_and_then_memory_mapped(tmp_path: Path) -> None:
    cache = VolumeCache(tmp_path / "deep")
    for source in (slabs, never):
        entry = cache.load_slabs("ab12", SHAPE, DTYPE, source)
        assert isinstance(entry, np.memmap)
        assert not entry.flags.writeable
        np.testing.assert_array_equal(entry, VOLUME)
    assert "ab12" in cache


@pytest.mark.parametrize("kept", [0, 5, 64, 150])
def test_a_truncated_entry_is_filled_again(tmp_path: Path, kept: int) -> None:
    cache = VolumeCache(tmp_path)
    cache.load_slabs("ab12", SHAPE, DTYPE, slabs)
    [path] = tmp_path.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:kept])
    np.testing.assert_array_equal(cache.load_slabs("ab12", SHAPE, DTYPE, slabs), VOLUME)


def test_a_source_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield VOLUME[:1]
        raise DataError(Problem("x.tif", "", "is truncated"))

    cache = VolumeCache(tmp_path)
    with pytest.raises(DataError, match="x.tif"):
        cache.load_slabs("ab12", SHAPE, DTYPE, broken)
    assert "ab12" not in cache
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_disk_is_the_machines_fault_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(MachineError, match="No space left"):
        VolumeCache(tmp_path).load_slabs("ab12", SHAPE, DTYPE, slabs)
    assert not list(tmp_path.rglob("*.part"))


def test_a_folder_that_cannot_be_written_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(MachineError, match="another cache folder"):
        VolumeCache(tmp_path / "cache").load_slabs("ab12", SHAPE, DTYPE, slabs)


def test_more_than_half_of_the_free_disk_is_refused(tmp_path: Path) -> None:
    VolumeCache(tmp_path).require_room(1000)
    with pytest.raises(MachineError, match="unpacked volumes would take"):
        VolumeCache(tmp_path).require_room(10**18)


def fill(folder: str, start: object, counter: object) -> None:
    def slow() -> Iterator[np.ndarray]:
        counter.put(1)  # type: ignore[attr-defined]
        time.sleep(0.3)
        yield VOLUME

    start.wait()  # type: ignore[attr-defined]
    entry = VolumeCache(Path(folder)).load_slabs("ab12", SHAPE, DTYPE, slow)
    assert (entry == VOLUME).all()


def test_of_several_processes_one_fills_and_the_others_wait(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, counter = context.Barrier(3), context.Queue()
    processes = [
        context.Process(target=fill, args=(str(tmp_path), start, counter)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert counter.get(timeout=5) == 1
    assert counter.empty()
