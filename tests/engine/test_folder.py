import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.engine.folder import RunFolder, RunRecord, new_path, read_run
from runner.errors import DataError, FolderInUse, MachineError, RecipeError
from runner.events import Stepped

RUN = RunRecord(id="abc", recipe="uav_fixed", version=2, seed=3)


def in_another_process(code: str, *arguments: Path) -> subprocess.Popen[str]:
    source = f"import os, sys, time\nfrom pathlib import Path\n{code}"
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


HOLD = """
from runner.engine.folder import RunFolder, RunRecord
folder = RunFolder.create(Path(sys.argv[1]), RunRecord(id="x", recipe="r"), "schema: 1")
"""


def test_the_path_of_a_new_run_names_recipe_time_and_id():
    started = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    path = new_path(Path("runs"), "uav_fixed", started, "abc")
    assert path == Path("runs/uav_fixed/20260203-040506-abc")


def test_a_created_run_can_be_read_and_taken_up(tmp_path):
    path = tmp_path / "a" / "b c"
    with RunFolder.create(path, RUN, "schema: 1  # é\n") as folder:
        assert folder.run == RUN
    assert read_run(path) == RUN
    with RunFolder.resume(path) as folder:
        assert folder.run == RUN
        assert folder.recipe() == "schema: 1  # é\n"


def test_updates_are_on_disk_at_once_and_read_back(tmp_path):
    with RunFolder.create(tmp_path, RUN, "") as folder:
        best = {"metric": "val/miou", "value": 0.5, "step": 2, "checkpoint": "step-00000002.pt"}
        folder.update(state="stopped", exit_code=5, reason="class 0 is dead", best=best)
        run = read_run(tmp_path)
        assert (run.state, run.exit_code, run.best, run.recipe) == ("stopped", 5, best, "uav_fixed")
        with pytest.raises(TypeError, match="stat"):
            folder.update(stat="done")


def test_run_json_never_says_nan(tmp_path):
    with RunFolder.create(tmp_path, RUN, "") as folder:
        folder.update(best={"value": float("nan")}, expectations=[{"got": float("-inf")}])
    text = (tmp_path / "run.json").read_text()
    said = json.loads(text, parse_constant=lambda token: pytest.fail(token))
    assert said["best"] == {"value": None}
    assert said["expectations"] == [{"got": None}]


def test_a_used_folder_is_refused_and_left_alone(tmp_path):
    with RunFolder.create(tmp_path / "run", RUN, "old"):
        pass
    with pytest.raises(RecipeError, match="--resume"):
        RunFolder.create(tmp_path / "run", RUN, "new")
    assert (tmp_path / "run" / "recipe.yaml").read_text() == "old"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("x")
    with pytest.raises(RecipeError, match=r"not empty \(thesis.tex\)"):
        RunFolder.create(tmp_path / "home", RUN, "")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.tex"]


def test_a_start_that_was_killed_can_be_repeated(tmp_path):
    for name in (".lock", "recipe.yaml", ".run.json.tmp"):
        (tmp_path / name).write_text("half")
    with RunFolder.create(tmp_path, RUN, "whole") as folder:
        assert folder.recipe() == "whole"


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path):
    assert read_run(tmp_path / "new") is None
    with pytest.raises(RecipeError, match="holds no run"):
        RunFolder.resume(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ['{"id": "x"', '{"id": "x", "recipe": "r", "colour": 1}'])
def test_a_run_json_that_cannot_be_understood_is_named(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match=r"run\.json"):
        read_run(tmp_path)


def test_a_folder_in_use_is_named_until_it_is_closed(tmp_path):
    folder = RunFolder.create(tmp_path, RUN, "")
    with pytest.raises(FolderInUse, match=tmp_path.name) as raised:
        RunFolder.resume(tmp_path)
    assert raised.value.exit_code == 6
    folder.close()
    RunFolder.resume(tmp_path).close()


def test_a_killed_run_leaves_its_folder_free_though_its_workers_live(tmp_path):
    code = HOLD + "worker = os.fork()\nif worker: print(worker, flush=True)\ntime.sleep(60)"
    owner = in_another_process(code, tmp_path)
    assert owner.stdout is not None
    worker = int(owner.stdout.readline())
    try:
        with pytest.raises(FolderInUse):
            RunFolder.resume(tmp_path)
        owner.kill()
        owner.wait()
        os.kill(worker, 0)
        RunFolder.resume(tmp_path).close()
    finally:
        os.kill(worker, signal.SIGKILL)
        owner.stdout.close()


def test_a_folder_that_cannot_be_written_is_the_machines_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="--out") as raised:
        RunFolder.create(tmp_path / "file" / "run", RUN, "")
    assert raised.value.exit_code == 7


def test_a_run_that_could_not_be_created_leaves_no_lock(tmp_path):
    with pytest.raises(RecipeError, match="nowhere.py: --plugin: is no file"):
        RunFolder.create(tmp_path, RUN, "", [tmp_path / "nowhere.py"])
    RunFolder.create(tmp_path, RUN, "").close()


def test_plugins_are_kept_hashed_and_checked(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("x = 1\n")
    with RunFolder.create(tmp_path / "run", RUN, "", [own]) as folder:
        own.write_text("x = 2\n")
        assert folder.plugins() == (tmp_path / "run" / "plugins" / "own.py",)
        assert folder.plugins()[0].read_text() == "x = 1\n"
        assert len(read_run(folder.path).plugins["own.py"]) == 64
        folder.plugins()[0].write_text("x = 3\n")
        with pytest.raises(DataError, match=r"own\.py: was changed"):
            folder.plugins()


def test_two_plugins_of_one_name_are_refused_together(tmp_path):
    paths = [tmp_path / name / "own.py" for name in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_text("")
    with pytest.raises(RecipeError) as raised:
        RunFolder.create(tmp_path / "run", RUN, "", paths)
    assert len(raised.value.problems) == 2


def test_a_folder_writes_the_events_it_is_given(tmp_path):
    with RunFolder.create(tmp_path, RUN, "") as folder:
        folder.write(Stepped(step=1, epoch=0.5, values={"train/loss": 1.0}))
    with RunFolder.resume(tmp_path) as folder:
        assert folder.journal.cut_back(1) is True
        folder.write(Stepped(step=2, epoch=1.0, values={"train/loss": 0.5}))
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 2
