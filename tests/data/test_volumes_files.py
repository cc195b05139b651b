from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile

from runner.data.volumes.files import mapped, read_slabs, read_volume_header, volume_id
from runner.errors import DataError

VOLUME = np.random.default_rng(0).integers(0, 4000, (24, 20, 28), dtype=np.uint16)


def write(path: Path, volume: np.ndarray, **how: Any) -> Path:
    if path.name.endswith((".tif", ".tiff")):
        tifffile.imwrite(path, volume, metadata=None, **how)
    elif path.suffix == ".npy":
        np.save(path, volume)
    else:
        nibabel.save(nibabel.Nifti1Image(volume.transpose(), np.eye(4)), path)
    return path


def read(path: Path) -> np.ndarray:
    header = read_volume_header(path)
    assert header.shape == VOLUME.shape
    slabs = list(read_slabs(path))
    assert all(slab.ndim == 3 for slab in slabs)
    return np.concatenate(slabs)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("name", ["x.tif", "x.TIFF.tiff", "x.npy", "x.nii", "x.nii.gz"])
def test_every_format_is_read_as_it_was_written(tmp_path: Path, name: str, dtype: str) -> None:
    volume = (VOLUME % 200).astype(dtype)
    path = write(tmp_path / name, volume)
    header = read_volume_header(path)
    assert header.dtype == volume.dtype
    np.testing.assert_array_equal(read(path), volume)
    is_packed = name.endswith(".gz")
    assert (header.offset is None) == is_packed
    if not is_packed:
        np.testing.assert_array_equal(mapped(path, pickle.loads(pickle.dumps(header))), volume)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits"])
@pytest.mark.parametrize("how", [{}, {"tile": (16, 16)}, {"rowsperstrip": 3}])
def test_compressed_tiff_is_read_page_by_page(
    tmp_path: Path, compression: str, how: dict[str, Any]
) -> None:
    path = write(tmp_path / "x.tif", VOLUME, compression=compression, **how)
    assert read_volume_header(path).offset is None
    assert [slab.shape for slab in read_slabs(path)] == [(1, 20, 28)] * 24
    np.testing.assert_array_equal(read(path), VOLUME)


def test_big_endian_bigtiff_with_a_predictor_is_read(tmp_path: Path) -> None:
    for how in ({"compression": "lzw", "predictor": True}, {}):
        path = write(tmp_path / "x.tif", VOLUME, bigtiff=True, byteorder=">", **how)
        np.testing.assert_array_equal(read(path), VOLUME)
        header = read_volume_header(path)
        assert header.travels_as == np.dtype("uint16")
        if header.offset is not None:
            np.testing.assert_array_equal(mapped(path, header), VOLUME)


def test_an_array_in_fortran_order_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.asfortranarray(VOLUME))
    assert read_volume_header(path).offset is None
    np.testing.assert_array_equal(read(path), VOLUME)


def test_nifti_is_scaled_and_a_series_of_one_is_a_volume(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOLUME.transpose()[..., None], np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "x.nii.gz")
    header = read_volume_header(tmp_path / "x.nii.gz")
    assert (header.shape, header.dtype, header.offset) == (VOLUME.shape, np.float32, None)
    stored = nibabel.load(tmp_path / "x.nii.gz").get_fdata()[..., 0].transpose()
    np.testing.assert_allclose(read(tmp_path / "x.nii.gz"), stored, rtol=1e-6)


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ("bool", "uint8"), ("int8", "int16"), ("uint8", "uint8"), (">u2", "uint16"),
        ("int16", "int16"), ("int32", "float32"), ("float16", "float16"), ("float64", "float32"),
    ],
)  # fmt: skip
def test_images_travel_as_small_as_they_can(tmp_path: Path, stored: str, sent: str) -> None:
    path = write(tmp_path / "x.npy", np.zeros((2, 3, 4), stored))
    assert read_volume_header(path).travels_as == np.dtype(sent)


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 0.5, -5000, -40])
@pytest.mark.parametrize("name", ["lzw.tif", "plain.tif", "x.npy", "x.nii", "x.nii.gz"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str, kept: float) -> None:
    how = {"compression": "lzw"} if name == "lzw.tif" else {}
    path = write(tmp_path / name, VOLUME, **how)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept == 0.5 else int(kept)])
    with pytest.raises(DataError, match=f"{name}: .*(truncated|damaged)"):
        read_volume_header(path)
        list(read_slabs(path))


def test_a_packed_nifti_is_held_against_its_checksum(tmp_path: Path) -> None:
    path = write(tmp_path / "x.nii.gz", VOLUME)
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(whole, compresslevel=0))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # Of a voxel: it is stored as it is.
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x.nii.gz: is truncated or damaged \(CRC check failed"):
        list(read_slabs(path))
    path.write_bytes(gzip.compress(whole + bytes(3 << 20)))  # As some tools pad.
    np.testing.assert_array_equal(read(path), VOLUME)


def test_a_tiff_of_noise_is_named_whatever_it_says(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", VOLUME, compression="lzw")
    content = np.frombuffer(path.read_bytes(), np.uint8)
    random = np.random.default_rng(1)
    for _ in range(150):
        damaged = content.copy()
        damaged[random.integers(0, 400, 4)] = random.integers(0, 256, 4)
        path.write_bytes(damaged.tobytes())
        try:
            header = read_volume_header(path)
            slabs = list(read_slabs(path))
        except DataError as error:
            assert "x.tif" in str(error)
        else:
            assert sum(map(len, slabs)) == header.shape[0]


@pytest.mark.parametrize("compression", ["lzw", None])
def test_a_header_that_claims_18_gib_is_refused_before_anything_is_read(
    tmp_path: Path, compression: str | None
) -> None:
    path = tmp_path / "huge.tif"
    small = np.zeros((16, 16, 16), np.uint8)
    tifffile.imwrite(
        path, small, compression=compression, volumetric=True, tile=(16, 16, 16), metadata=None
    )
    with tifffile.TiffFile(path, mode="r+") as file:
        tags = file.pages[0].tags
        for tag, edge in (("ImageDepth", 2048), ("ImageLength", 3072), ("ImageWidth", 3072)):
            tags[tag].overwrite(edge)
    with pytest.raises(DataError, match=r"huge.tif: claims 18.0 GiB .* the 16 GiB"):
        read_volume_header(path)


def test_an_uncompressed_file_that_claims_more_than_it_holds_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "huge.npy"
    with open(path, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (2048, 3072, 3072)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match=r"huge.npy: is truncated"):
        read_volume_header(path)


@pytest.mark.parametrize(
    ("name", "volume", "how", "said"),
    [
        ("x.tif", VOLUME[0], {}, r"has 2 dimensions \(20x28\), not 3"),
        ("x.tif", VOLUME[:, :, :3].astype("uint8"), {"photometric": "rgb"}, "has colours"),
        ("x.npy", VOLUME[0], {}, "has 2 dimensions"),
        ("x.npy", VOLUME[None], {}, "has 4 dimensions"),
        ("x.npy", VOLUME[:0], {}, "has no voxels"),
        ("x.npy", VOLUME.astype("complex64"), {}, "complex64, which is no real number"),
        ("x.npy", np.array([None]), {}, "no array"),
        ("x.nii", VOLUME[0], {}, "has 2 dimensions"),
    ],
)
def test_what_is_no_volume_is_named(
    tmp_path: Path, name: str, volume: np.ndarray, how: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / name, volume, **how)
    with pytest.raises(DataError, match=f"{name}: .*{said}"):
        read_volume_header(path)


def test_pages_of_different_sizes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as file:
        for size in (8, 9):
            file.write(np.zeros((2, size, 8), np.uint8), metadata=None)
    with pytest.raises(DataError, match=r"x.tif: its pages differ in size"):
        read_volume_header(path)


def test_a_missing_file_and_an_unknown_format_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x.tif: does not exist"):
        read_volume_header(tmp_path / "x.tif")
    (tmp_path / "x.mha").touch()
    with pytest.raises(DataError, match=r"x.mha: .*\.tif, .*\.nii\.gz, \.npy"):
        read_volume_header(tmp_path / "x.mha")


def test_an_id_is_the_name_without_its_whole_suffix() -> None:
    names = ["a/b.nii.gz", "b.NII.GZ", "b.tif", "b.tiff", "b.npy", "b.v2.tif"]
    assert [volume_id(name) for name in names] == ["b", "b", "b", "b", "b", "b.v2"]
