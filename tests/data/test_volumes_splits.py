from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from runner.data.pairs import Layout, Named
from runner.data.splits import Fractions, Lists, deal_groups
from runner.data.volumes.grouped_splits import Folds, Groups, Ranges, assign_volumes
from runner.errors import DataError

LAYOUT = Layout("images/*.nii.gz", "labels/{stem}_label.nii.gz")
GROUPS = Groups("train.csv", "id", "scroll_id")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve volumes v00 to v11 of the scrolls a (6), b (3), c (2) and d (1)."""
    (tmp_path / "images").mkdir()
    rows = ["id,scroll_id"]
    for number, scroll in enumerate("aaaaaabbbccd"):
        (tmp_path / "images" / f"v{number:02}.nii.gz").touch()
        rows.append(f"v{number:02},{scroll}")
    (tmp_path / "train.csv").write_text("\n".join(rows))
    return tmp_path


def scroll_of(volume: Named) -> str:
    return "aaaaaabbbccd"[int(volume.name[-9:-7])]


def lists(root: Path, **members: str) -> Lists:
    for split, numbers in members.items():
        names = (f"images/v{int(each):02}.nii.gz" for each in numbers.split())
        (root / f"{split}.txt").write_text("\n".join(names))
    return Lists({split: f"{split}.txt" for split in members})


def test_the_stem_of_a_nifti_has_no_suffix(root: Path) -> None:
    splits = assign_volumes(root, LAYOUT, Fractions({"train": 0.75, "val": 0.25}, 1), None)
    assert {split: len(members) for split, members in splits.items()} == {"train": 9, "val": 3}
    for volume in (each for members in splits.values() for each in members):
        stem = Path(volume.name).name.removesuffix(".nii.gz")
        assert volume.mask == f"labels/{stem}_label.nii.gz"


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_folds_validate_every_volume_once(root: Path, groups: Groups | None) -> None:
    held_out: Counter[str] = Counter()
    for fold in range(4):
        splits = assign_volumes(root, LAYOUT, Folds(4, fold, 3), groups)
        names = {split: {each.name for each in members} for split, members in splits.items()}
        assert not names["train"] & names["val"]
        assert len(names["train"] | names["val"]) == 12
        held_out.update(names["val"])
    assert set(held_out.values()) == {1}
    assert len(held_out) == 12


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "rule",
    [
        lambda seed: Fractions({"train": 0.5, "val": 0.25, "test": 0.25}, seed),
        lambda seed: Fractions({"train": 0.9, "val": 0.1}, seed),
        lambda seed: Folds(3, 1, seed),
    ],
)
def test_no_group_straddles_two_splits(root: Path, seed: int, rule: object) -> None:
    splits = assign_volumes(root, LAYOUT, rule(seed), GROUPS)  # type: ignore[operator]
    scrolls = [{scroll_of(each) for each in members} for members in splits.values()]
    assert sum(map(len, scrolls)) == 4
    assert all(scrolls)


def test_groups_are_dealt_near_the_shares() -> None:
    volumes = [Named(f"{number}", "", "") for number in range(32)]
    group_of = {each.name: str(int(each.name) // 8) for each in volumes}
    for seed in range(5):
        parts = deal_groups(volumes, group_of, Fractions({"train": 0.75, "val": 0.25}, seed))
        assert [len(part) for part in parts.values()] == [24, 8]
    held_out = {
        deal_groups(volumes, group_of, Fractions({"train": 0.75, "val": 0.25}, seed))["val"][0]
        for seed in range(12)
    }
    assert len(held_out) > 1, "the seed decides which"


def test_lists_that_share_a_group_are_refused(root: Path) -> None:
    rule = lists(root, train="0 1 2 6", val="3 7 9")
    with pytest.raises(DataError) as raised:
        assign_volumes(root, LAYOUT, rule, GROUPS)
    first, second = map(str, raised.value.problems)
    assert "train.csv: the group 'a' straddles splits: images/v00.nii.gz is in 'train'" in first
    assert "'b' straddles" in second
    assert set(assign_volumes(root, LAYOUT, rule, None)) == {"train", "val"}
    whole = lists(root, train="0 1 2 3 4 5", val="6 7 8")
    assert len(assign_volumes(root, LAYOUT, whole, GROUPS)["val"]) == 3


def test_an_empty_split_is_named(root: Path) -> None:
    for volume in (root / "images").glob("v0[1-9]*"):
        volume.unlink()
    rule = Fractions({"train": 0.9, "val": 0.1}, 0)
    for number in (10, 11):
        (root / "images" / f"v{number}.nii.gz").unlink()
    with pytest.raises(DataError, match="the split 'val' is empty"):
        assign_volumes(root, LAYOUT, rule, None)
    with pytest.raises(DataError, match="the split '.*' is empty"):
        assign_volumes(root, LAYOUT, rule, GROUPS)
    with pytest.raises(DataError, match="the split 'val' is empty"):
        assign_volumes(root, LAYOUT, Folds(5, 4, 0), None)


def test_ranges_divide_one_volume(root: Path) -> None:
    rule = Ranges({"train": (0, 8), "val": (8, 10)})
    with pytest.raises(DataError, match="divides one volume, and 12 match"):
        assign_volumes(root, LAYOUT, rule, None)
    one = Layout("images/v03.nii.gz", "labels/{stem}.nii.gz")
    splits = assign_volumes(root, one, rule, None)
    assert splits["train"] == splits["val"] == [
        Named("images/v03.nii.gz", "images/v03.nii", "labels/v03.nii.gz")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "train.csv: the table of groups cannot be read"),
        ("id,scroll\nv00,a", "train.csv: has no column scroll_id; it has id, scroll"),
        ("id,scroll_id\nv00,a\nv00,b", r"train.csv:3: 'v00' is in group 'a' .* here in 'b'"),
        ("id,scroll_id\nv00,a", r"images/v01.nii.gz: has no scroll_id in train.csv"),
    ],
)
def test_a_table_that_does_not_fit_is_named(root: Path, text: str | None, said: str) -> None:
    (root / "train.csv").unlink()
    if text is not None:
        (root / "train.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        assign_volumes(root, LAYOUT, Folds(2, 0, 0), GROUPS)
