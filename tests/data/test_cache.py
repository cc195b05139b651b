from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from runner.data.cache import ArrayCache, Stamp, key_of
from runner.data.pairs import Pair
from runner.data.segmentation.classes import ClassMap
from runner.data.segmentation.store import Store
from runner.errors import MachineError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def never() -> np.ndarray:
    raise AssertionError("the entry is there: nothing is built")


def test_an_array_is_built_once_and_then_memory_mapped(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path / "deep" / "cache")
    assert "ab12" not in cache
    for build in (lambda: ARRAY, never):
        read = cache.load("ab12", build)
        assert isinstance(read, np.memmap)
        assert not read.flags.writeable
        np.testing.assert_array_equal(read, ARRAY)
    assert "ab12" in cache


@pytest.mark.parametrize("kept", [0, 5, 64, 130])
def test_a_truncated_entry_is_built_again(tmp_path: Path, kept: int) -> None:
    cache = ArrayCache(tmp_path)
    cache.load("ab12", lambda: ARRAY)
    [path] = tmp_path.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:kept])
    np.testing.assert_array_equal(cache.load("ab12", lambda: ARRAY), ARRAY)
    np.testing.assert_array_equal(cache.load("ab12", never), ARRAY)


def test_an_entry_of_other_bytes_is_built_again(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    cache.load("ab12", lambda: ARRAY)
    [path] = tmp_path.rglob("*.npy")
    path.write_bytes(b"\x80pickle" * 40)
    np.testing.assert_array_equal(cache.load("ab12", lambda: ARRAY), ARRAY)


def slow() -> np.ndarray:
    time.sleep(0.05)
    return np.full((200, 200, 3), 7, np.uint8)


def load_all(folder: str, start: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    for number in range(5):
        assert (ArrayCache(Path(folder)).load(f"{number}{number}key", slow) == 7).all()


def test_processes_build_the_same_entries_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    processes = [context.Process(target=load_all, args=(str(tmp_path), start)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(tmp_path.rglob("*.npy"))) == 5
    assert not list(tmp_path.rglob("*.part"))


def test_a_folder_that_cannot_be_written_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(MachineError, match="cache: false"):
        ArrayCache(tmp_path / "cache" / "deep")._write(tmp_path / "cache" / "deep" / "x.npy", ARRAY)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(MachineError, match="No space left"):
        ArrayCache(tmp_path).load("ab12", lambda: ARRAY)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_cache_larger_than_half_of_the_free_disk_is_refused(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path / "not" / "yet")
    cache.require_room(1000)
    with pytest.raises(MachineError, match="cache: false"):
        cache.require_room(10**18)


def test_equal_ingredients_give_equal_keys() -> None:
    assert key_of(a=1, b=(2, 3)) == key_of(b=(2, 3), a=1) != key_of(a=1, b=(2, 4))


CLASSES = ClassMap("index", ("a", "b"), (0, 1), (0, 1))
PAIR = Pair("x", "x", Stamp("/x.png", 10, 5), Stamp("/y.png", 11, 6), 40, 40)
STORE = Store(CLASSES, (20, 20), None)


@pytest.mark.parametrize("field", ["path", "size_bytes", "modified_ns"])
def test_keys_hold_the_state_of_the_file(field: str) -> None:
    value = getattr(PAIR.image, field) * 2
    changed = replace(
        PAIR, image=replace(PAIR.image, **{field: value}), mask=replace(PAIR.mask, **{field: value})
    )
    assert STORE.image_key(changed) != STORE.image_key(PAIR)
    assert STORE.mask_key(changed) != STORE.mask_key(PAIR)


def test_keys_hold_size_interpolation_mapping_and_format(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {STORE.image_key(PAIR), STORE.mask_key(PAIR)}
    for store in (
        replace(STORE, resize=None),
        replace(STORE, resize=(20, 21)),
        replace(STORE, resize=(80, 80)),
    ):
        keys |= {store.image_key(PAIR), store.mask_key(PAIR)}
    # The interpolation depends on whether the image shrinks.
    keys.add(STORE.image_key(replace(PAIR, height=10)))
    for classes in (
        replace(CLASSES, sources=(0, 2)),
        replace(CLASSES, targets=(0, 255)),
        replace(CLASSES, format="rgb"),
    ):
        store = replace(STORE, classes=classes)
        assert store.image_key(PAIR) == STORE.image_key(PAIR)
        keys.add(store.mask_key(PAIR))
    monkeypatch.setattr("runner.data.cache.VERSION", 99)
    keys |= {STORE.image_key(PAIR), STORE.mask_key(PAIR)}
    assert len(keys) == 2 + 6 + 1 + 3 + 2


def test_a_changed_file_is_decoded_again(tmp_path: Path) -> None:
    path, mask = tmp_path / "x.png", tmp_path / "y.png"
    cv2.imwrite(str(mask), np.zeros((4, 4), np.uint8))
    store = Store(CLASSES, None, ArrayCache(tmp_path / "cache"))
    for grey, modified_ns in ((10, 1_000), (20, 2_000)):
        cv2.imwrite(str(path), np.full((4, 4, 3), grey, np.uint8))
        os.utime(path, ns=(modified_ns, modified_ns))
        pair = Pair("x", "x", Stamp.of(path), Stamp.of(mask), 4, 4)
        assert (store.image(pair) == grey).all()
