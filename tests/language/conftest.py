"""A folder of published recipes that a test may write to."""

import shutil

import pytest

from runner.commands import validate
from runner.language import load, source


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """Put three recipes of one scenario, the lock aside, in place of the published ones."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    for name in ("uav_baseline", "uav_fixed", "uav_corrected"):
        shutil.copy(source.published_folder() / f"{name}.yaml", folder)
    for module in (source, load, validate):
        monkeypatch.setattr(module, "published_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder
