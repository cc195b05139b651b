"""Lints are asked about drafts of a few lines."""

from pathlib import Path

import pytest

from runner.language.known import statistics_at_hand
from runner.language.lints.table import concerns
from runner.language.load import load_written


@pytest.fixture
def lints(tmp_path, monkeypatch):
    """What the lints say of a draft, or of a published recipe: message by lint."""
    monkeypatch.chdir(tmp_path)

    def said(text: str) -> dict[str, str]:
        reference = text
        if ":" in text:
            Path("mine.yaml").write_text(text)
            reference = "mine.yaml"
        loaded = load_written(reference)
        statistics = statistics_at_hand(loaded, Path("runs"))
        return {each.lint: f"{each.key}: {each.message}" for each in concerns(loaded, statistics)}

    return said
