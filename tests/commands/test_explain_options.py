"""Options of ``runner explain`` that would have no effect are refused."""

import pytest

from runner.cli import main


@pytest.mark.parametrize("option", [["--at", "10%"], ["--plot", "rates.png"]])
def test_option_of_the_whole_recipe_is_refused_beside_a_key(option, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "uav_fixed", "lr", *option]) == 2
    assert f"{option[0]}: is of the whole recipe's learning rate; leave out lr" in (
        capsys.readouterr().err
    )
    assert not list(tmp_path.iterdir())
