"""What every test can rely on: one thread, no network, and GPU tests only where there is a GPU."""

import os
import shutil
import sys

import pytest

# Set before torch, albumentations or a hub client is imported by a test module.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


@pytest.fixture
def plugins_forgotten(monkeypatch):
    """Let what a test's plugins register, and that their files were run, end with the test."""
    from runner.registry import KINDS

    for registry in KINDS.values():
        monkeypatch.setattr(registry, "_entries", dict(registry._filled()))
    yield
    for name in [each for each in sys.modules if each.startswith("runner_plugin_")]:
        del sys.modules[name]


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """Put three recipes of one scenario, without the lock, in place of the published ones."""
    from runner.commands import validate
    from runner.language import folders, load, source

    folder = tmp_path / "recipes"
    folder.mkdir()
    for name in ("uav_baseline", "uav_fixed", "uav_corrected"):
        shutil.copy(source.published_folder() / f"{name}.yaml", folder)
    for module in (folders, source, load, validate):
        monkeypatch.setattr(module, "published_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder
