"""A volume and a label whose axes point apart are refused before they are paired."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from runner.contracts import Data, DataContext
from runner.data.volumes.files import read_volume_header
from runner.errors import DataError
from runner.registry import datasets

SHAPE = 12, 12, 12
FLIPPED = np.diag([-1.0, 1, 1, 1])
SWAPPED = np.eye(4)[[1, 0, 2, 3]]
SCALED = np.diag([0.7, 0.7, 3, 1])


def tilted(degrees: float) -> np.ndarray:
    """Return the affine of voxels turned about the third axis."""
    turn = np.eye(4)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[:2, :2] = [[cosine, -sine], [sine, cosine]]
    return turn


def save(path: Path, affine: np.ndarray | None, *, qform: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(int(path.name[0])).integers(0, 2, SHAPE, dtype=np.uint8)
    image = nibabel.Nifti1Image(voxels, affine)
    if qform:
        image.set_qform(affine, 1)
        image.set_sform(None, 0)
    nibabel.save(image, path)


def opened(tmp_path: Path, image: np.ndarray | None, label: np.ndarray | None) -> Data:
    """Open two volumes, the second of which has the affines given."""
    root = tmp_path / "root"
    for kind, affine in (("images", image), ("labels", label)):
        save(root / kind / "0.nii.gz", np.eye(4))
        save(root / kind / "1.nii.gz", affine)
    params = {
        "root": str(root), "images": "images/*.nii.gz", "labels": "labels/{stem}.nii.gz",
        "foreground": [1], "splits": {"fractions": {"train": 0.5, "val": 0.5}, "seed": 0},
        "patch": [8, 8, 8],
    }  # fmt: skip
    context = DataContext(Path, tmp_path / "cache")
    data: Data = datasets.parse({"name": "volumes", "params": params}).build(context)
    return data


@pytest.mark.parametrize(
    ("image", "label", "said"),
    [
        (np.eye(4), FLIPPED, ("RAS", "LAS")),
        (FLIPPED @ SCALED, SCALED, ("LAS", "RAS")),
        (np.eye(4), SWAPPED, ("RAS", "ARS")),
        (tilted(20), tilted(110), ("RAS", "ALS")),
    ],
)
def test_axes_that_point_apart_are_refused_with_both_orientations(tmp_path, image, label, said):
    for _ in range(2):  # The second time the headers are in the cache.
        with pytest.raises(DataError) as raised:
            opened(tmp_path, image, label)
        [found] = map(str, raised.value.problems)
        mine, theirs = said
        assert f"images/1.nii.gz: has axes that point {mine}, its label labels/1.nii.gz" in found
        assert f"its label labels/1.nii.gz {theirs} (R, L" in found
        assert "as_closest_canonical" in found and raised.value.exit_code == 3


@pytest.mark.parametrize(
    ("image", "label"),
    [
        (SCALED, SCALED @ tilted(0.01)),
        (np.eye(4), np.diag([1.0, 1, 1.0001, 1])),
        (FLIPPED, FLIPPED @ tilted(8)),
        (tilted(44.9999), tilted(45.0001)),
        (np.eye(4), None),
        (None, FLIPPED),
    ],
)
def test_small_differences_and_files_that_say_nothing_are_well(tmp_path, image, label):
    assert len(opened(tmp_path, image, label).splits["train"].ids) == 1


@pytest.mark.parametrize("qform", [False, True])
def test_the_header_has_the_axes_of_either_form(tmp_path, qform):
    save(tmp_path / "0.nii", FLIPPED @ SCALED, qform=qform)
    axes = read_volume_header(tmp_path / "0.nii").axes
    assert axes == pytest.approx([-1, 0, 0, 0, 1, 0, 0, 0, 1], abs=1e-6)


@pytest.mark.parametrize("wrong", [0.0, np.nan, np.inf])
def test_an_affine_that_is_none_says_nothing(tmp_path, wrong):
    path = tmp_path / "0.nii"
    save(path, np.eye(4))
    content = bytearray(path.read_bytes())
    content[280:284] = np.float32(wrong).tobytes()  # The first number of srow_x.
    path.write_bytes(content)
    assert read_volume_header(path).axes == ()
