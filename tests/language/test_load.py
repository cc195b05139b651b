"""A recipe is checked whole: every problem at its file and line, and fingerprints that mean it."""

from pathlib import Path

import pytest
import yaml

from runner.errors import RecipeError
from runner.language.dump import to_yaml
from runner.language.load import load, load_at_every_scale, load_written
from runner.language.source import published

RECIPES = published()


@pytest.fixture
def draft(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "mine.yaml") -> str:
        Path(name).write_text(text)
        return name

    return write


def problems(*arguments, **options) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(*arguments, **options)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("is_smoke", [False, True])
def test_flat_recipe_reloads_to_the_same_run(name, is_smoke, draft):
    loaded = load(name, is_smoke=is_smoke, sets=["train.log_every=3"])
    again = load(draft(to_yaml(loaded.flat())))
    assert again.run_fingerprint() == loaded.run_fingerprint()
    assert (again.name, again.scale) == (loaded.name, loaded.scale)


@pytest.mark.parametrize("name", RECIPES)
def test_resolved_recipe_means_what_the_file_says(name, draft):
    written = load_written(name)
    flat = {k: v for k, v in written.flat().items() if k not in ("name", "scale")}
    flat |= {key: written.source.data[key] for key in ("sample", "smoke")}
    assert load(draft(to_yaml(flat))).recipe_fingerprint == written.recipe_fingerprint


@pytest.mark.parametrize("name", RECIPES)
def test_sample_and_smoke_stand_in_the_root_recipe_alone(name):
    source = load_written(name).source
    is_root = len(source.chain) == 1
    assert {"sample", "smoke"} & source.own.keys() == ({"sample", "smoke"} if is_root else set())


def test_a_loss_is_not_monitored_towards_its_worst(draft):
    found = problems(draft("extends: uav_fixed\nmonitor: {metric: val/loss}\n"))
    assert found == [
        "mine.yaml:2: monitor: val/loss is the better the less it is: write mode: min beside it"
    ]
    assert load(draft("extends: uav_fixed\nmonitor: {metric: val/loss, mode: min}\n"))


def test_sample_block_in_a_child_is_refused(draft):
    found = problems(draft("extends: uav_fixed\nsample: {train: {batch_size: 1}}\n"))
    assert found == [
        "mine.yaml:2: sample: stands in the root recipe of a scenario alone, "
        "the same for all versions; remove it"
    ]


def test_all_problems_are_reported_at_once_with_line_and_suggestion(draft):
    found = problems(
        draft(
            "extends: uav_fixed\n"
            "train:\n"
            "  batch_sise: 3\n"
            "  accumulate: 0\n"
            "  clip_norm: much\n"
            "optimizer:\n"
            "  params: {lr: true}\n"
            "task: {params: {loss: {params: {gama: 2}}}}\n"
            "metrics: [{name: confusion_matrxi}]\n"
        )
    )
    assert found == [
        "mine.yaml:3: train.batch_sise: nothing reads this key; did you mean 'batch_size'?",
        "mine.yaml:4: train.accumulate: should be greater than 0, not 0",
        "mine.yaml:5: train.clip_norm: should be a number, not 'much'",
        "mine.yaml:7: optimizer.params.lr: should be a number, not true",
        "mine.yaml:8: task.params.loss.params.gama: nothing reads this key; did you mean 'gamma'?",
        "mine.yaml:9: metrics.0.name: no metric is called 'confusion_matrxi'; "
        "did you mean 'confusion_matrix'?",
    ]


def test_missing_key_blames_the_part_that_lacks_it(draft):
    found = problems(draft("extends: uav_baseline\nschedule: {name: cosine_warm_restarts}\n"))
    assert found == ["mine.yaml:2: schedule.params.first: is required: add it"]


def test_problem_of_a_base_names_the_base(draft):
    draft("extends: uav_fixed\nmonitor: {mode: up}\n", "base.yaml")
    [found] = problems(draft("extends: base.yaml\ntrain: {batch_size: 2}\n"))
    assert found.startswith("base.yaml:2: monitor.mode: ")


def test_unknown_health_rule_and_its_unknown_key_are_suggested(draft):
    found = problems(
        draft("extends: uav_fixed\nhealth:\n  dead_clas: {}\n  dead_class:\n    grase: 1\n")
    )
    assert found == [
        "mine.yaml:3: health.dead_clas: no health rule is called 'dead_clas'; "
        "did you mean 'dead_class'?",
        "mine.yaml:5: health.dead_class.grase: nothing reads this key; did you mean 'grace'?",
    ]


def test_health_rule_is_switched_off_by_null(draft):
    loaded = load(draft("extends: uav_fixed\nhealth: {dead_class: null}\n"))
    assert loaded.recipe.health["dead_class"] is None
    assert problems(draft("extends: uav_fixed\nhealth: {dead_clas: null}\n")) == [
        "mine.yaml:2: health.dead_clas: no health rule is called 'dead_clas'; "
        "did you mean 'dead_class'?"
    ]


def test_set_wins_and_its_problem_names_the_command(draft):
    name = draft("extends: uav_fixed\n")
    assert load(name, sets=["train.batch_size=3"]).recipe.train.batch_size == 3
    assert problems(name, sets=["train.batch_size=x"]) == [
        "--set train.batch_size=x: train.batch_size: should be a whole number, not 'x'"
    ]


def test_sample_overlay_is_laid_over_the_embedded_sample_alone(tmp_path):
    assert load("uav_fixed").scale == "sample"
    own = load("uav_fixed", data=str(tmp_path))
    assert own.scale == "full"
    assert own.recipe.train.batch_size == 6
    assert own.recipe.train.compress_to_steps is None
    assert load("uav_fixed", data=str(tmp_path), is_smoke=True).scale == "smoke"


@pytest.mark.parametrize("train", ["{epochs: 30, batch_size: 4}", "{steps: 900, batch_size: 4}"])
def test_smoke_trains_two_steps_of_a_recipe_without_a_smoke_block(train, draft):
    root = load_written("segmentation").source.data
    left_out = ("sample", "smoke", "train", "health", "expect", "summary", "version", "allow")
    kept = {key: value for key, value in root.items() if key not in left_out}
    own = draft(yaml.safe_dump(kept) + f"train: {train}\n")
    smoked = load(own, is_smoke=True)
    assert smoked.scale == "smoke"
    assert smoked.recipe.train.compress_to_steps == 2
    assert smoked.recipe.train.batch_size == 4
    assert load(own).recipe.train.compress_to_steps is None


def test_overlay_drops_what_names_a_swapped_part(draft):
    model = "{name: deeplabv3plus, params: {encoder: resnet18}}"
    child = draft(f"extends: uav_baseline\ntask: {{params: {{model: {model}}}}}\n")
    assert load(child).recipe.task.params.model.name == "deeplabv3plus"
    assert load("uav_baseline").recipe.task.params.model.name == "conv_unet"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("task: {params: {model: {name: unett}}}", "task.params.model.name"),
        ("data: {name: regression_folder}", "data"),
        ("task: {name: detection, params: {min_score: 0.1}}", "task.params.backbone"),
        ("data: {name: segmentation_folderr}", "data.name"),
    ],
)
def test_problem_of_a_child_is_said_once_and_never_at_its_roots_sample(text, key, draft):
    with pytest.raises(RecipeError) as caught:
        load_at_every_scale(draft(f"extends: uav_fixed\n{text}\n"))
    found = [each for each in caught.value.problems if each.key.startswith(key)]
    assert found
    assert {each.place for each in found} == {"mine.yaml:2"}, found
    assert len({each.key for each in found}) == len(found)


def test_overlay_shrinks_a_net_that_another_task_of_the_child_trains_too():
    assert load_written("s4gan_gan").recipe.task.name != load("s4gan_v3").recipe.task.name
    task = load("s4gan_gan").recipe.task.params
    assert task.task.params.model.name == "conv_unet"
    assert task.start_step == load_written("s4gan_gan").recipe.task.params.start_step == 0


def test_length_set_by_the_user_is_not_compressed():
    assert load("uav_fixed", sets=["train.epochs=1"]).recipe.train.compress_to_steps is None


def test_prose_root_and_seed_are_no_part_of_the_meaning(draft, tmp_path):
    base = load_written("uav_fixed").recipe_fingerprint
    prose = draft(
        "extends: uav_fixed\nsummary: other\nversion: 9\nallow: {a: b}\ntrain: {seed: 5}\n"
    )
    assert load_written(prose).recipe_fingerprint == base
    assert load("uav_fixed", data=str(tmp_path)).recipe_fingerprint == base
    assert (
        load_written(draft("extends: uav_fixed\ntrain: {log_every: 7}\n")).recipe_fingerprint
        != base
    )


def test_run_fingerprint_follows_seed_data_sets_and_plugins(tmp_path):
    prints = {
        load("uav_fixed").run_fingerprint(),
        load("uav_fixed", seed=1).run_fingerprint(),
        load("uav_fixed", data=str(tmp_path)).run_fingerprint(),
        load("uav_fixed", sets=["train.log_every=3"]).run_fingerprint(),
        load("uav_fixed", is_smoke=True).run_fingerprint(),
        load("uav_fixed").run_fingerprint({"own.py": "ab"}),
    }
    assert len(prints) == 6


def test_default_written_out_changes_no_fingerprint(draft):
    child = draft("extends: uav_fixed\ntrain: {drop_last: true}\n")
    assert load_written(child).recipe_fingerprint == load_written("uav_fixed").recipe_fingerprint


def told(name: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_at_every_scale(name)
    return [": ".join(str(problem).split(": ")[:2]) for problem in caught.value.problems]


def test_what_yaml_would_misread_stands_beside_all_else_in_the_order_of_the_lines(draft):
    text = (
        "extends: uav_baseline\n"
        "train: {epoch: 3, epochs: 010, deterministic: off, clip_norm: .inf}\n"
        "monitor: {metric: val/miuo}\n"
        "optimizer:\n"
        "  params:\n"
        "    lr: 1_0\n"
        "    lr: 0x10\n"
        "    weight_decay: ${train.nothing}\n"
        "    betas: 3:20\n"
        "sample: {}\n"
        "schedule: {params: {min_lr: -1.0}}\n"
    )
    lines = told(draft(text))
    assert sorted(lines[:4]) == [
        "mine.yaml:2: train.clip_norm", "mine.yaml:2: train.deterministic",
        "mine.yaml:2: train.epoch", "mine.yaml:2: train.epochs",
    ]  # fmt: skip
    assert lines[4:] == [
        "mine.yaml:3: monitor.metric",
        "mine.yaml:6: optimizer.params.lr",
        "mine.yaml:7: optimizer.params.lr",
        "mine.yaml:7: optimizer.params.lr",
        "mine.yaml:8: optimizer.params.weight_decay",
        "mine.yaml:9: optimizer.params.betas",
        "mine.yaml:10: sample",
        "mine.yaml:11: schedule.params.min_lr",
    ]


def test_misread_value_is_not_blamed_for_its_kind_too(draft):
    loss = "task: {params: {loss: {params: {class_weights: [1, 2, 010, 4]}}}}\n"
    assert told(draft(f"extends: uav_baseline\n{loss}")) == [
        "mine.yaml:2: task.params.loss.params.class_weights.2"
    ]


def test_misread_value_of_a_base_is_told_though_a_child_writes_its_own(draft):
    draft("extends: uav_baseline\ntrain: {epochs: 010}\n", "base.yaml")
    child = draft("extends: base.yaml\ntrain: {epochs: [1], accumulat: 2}\n")
    assert told(child) == [
        "base.yaml:2: train.epochs", "mine.yaml:2: train.epochs", "mine.yaml:2: train.accumulat"
    ]  # fmt: skip


def test_recipe_whose_base_is_missing_tells_its_own_misreadings_too(draft):
    assert told(draft("extends: nowhere\ntrain: {epochs: 010}\n")) == [
        "mine.yaml:2: train.epochs", "mine.yaml:1: extends"
    ]  # fmt: skip


def test_problems_of_the_command_line_stand_beside_those_of_the_file(draft):
    name = draft("extends: uav_baseline\ntrain: {epoch: 3}\n")
    sets = ["train.steps=010", "trian.seed=3"]
    assert [line.partition(": ")[0] for line in problems(name, sets=sets)] == [
        "mine.yaml:2", "--set train.steps=010", "--set trian.seed=3"
    ]  # fmt: skip
    malformed = problems(name, sets=["train.steps=010", "train"])
    assert [line.partition(": ")[0] for line in malformed] == [
        "--set train", "--set train.steps=010", "mine.yaml:2"
    ]  # fmt: skip
