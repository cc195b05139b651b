from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from runner.data import files
from runner.errors import DataError


def noise(height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_colours_are_read_red_first(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 5, 3), (255, 0, 9), np.uint8)).save(tmp_path / "red.png")
    image = files.read_image(tmp_path / "red.png")
    assert image.shape == (4, 5, 3)
    assert (image == (255, 0, 9)).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.99])
def test_a_truncated_image_is_named(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"cut{suffix}"
    cv2.imwrite(str(path), noise())
    content = path.read_bytes()
    assert files.read_image(path).shape == (64, 64, 3)
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError, match=f"cut{suffix}: .*(truncated|not an image)"):
        files.read_image(path)


def test_a_jpeg_with_bytes_after_its_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    cv2.imwrite(str(path), noise())
    path.write_bytes(path.read_bytes() + b"trailer of a camera")
    assert files.read_image(path).shape == (64, 64, 3)


def claiming(height: int, width: int) -> bytes:
    """Return a PNG of one pixel whose header claims more."""
    one = cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    header = b"IHDR" + struct.pack(">II", width, height) + one[24:29]
    return one[:12] + header + struct.pack(">I", zlib.crc32(header)) + one[33:]


@pytest.mark.parametrize("edge", [13_378, 40_000])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, edge: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(claiming(edge, edge))
    with pytest.raises(DataError, match="bomb.png: has more than 178,956,970 pixels"):
        files.read_image(path)
    path.write_bytes(claiming(13_377, 13_377))
    assert files.read_header(path).height == 13_377


def test_the_limit_of_pixels_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.png"
    monkeypatch.setattr(files, "MAX_PIXELS", 100)
    cv2.imwrite(str(path), noise(10, 10))
    assert files.read_header(path).height == 10
    cv2.imwrite(str(path), noise(11, 10))
    with pytest.raises(DataError, match="more than 100 pixels"):
        files.read_header(path)


def test_a_16_bit_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), noise().astype(np.uint16) * 200)
    with pytest.raises(DataError, match="deep.png: is a uint16 image; convert it"):
        files.read_image(path)


@pytest.mark.parametrize(("content", "said"), [(None, "does not exist"), (b"", "not an image")])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "none.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"none.jpg: .*{said}"):
        files.read_image(path)


def test_an_exif_rotation_is_not_applied(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(8, 16)).save(path, exif=exif)
    header = files.read_header(path)
    assert (header.height, header.width) == (8, 16)
    assert files.read_image(path).shape == (8, 16, 3)


def test_grey_and_transparent_images_become_three_channels(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P"):
        Image.fromarray(noise()).convert(mode).save(tmp_path / "x.png")
        assert files.read_image(tmp_path / "x.png").shape == (64, 64, 3)
