"""Random patches of a volume far larger than the memory that a process is allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

EDGE = 512

PROGRAM = """
import resource, sys
import numpy as np
from pathlib import Path
from runner.contracts import DataContext, Draw
from runner.data.volumes import folder as volumes_folder
from runner.registry import datasets, samplers

params = {
    "root": sys.argv[1], "images": "images/*.tif", "labels": "labels/{stem}.tif",
    "splits": {"lists": {"train": "all.txt", "val": "all.txt"}}, "allow_leak": True,
    "patch": [128, 128, 128], "normalise": sys.argv[3],
    "percentiles": [0.5, 99.5] if sys.argv[3] == "percentile" else None,
}
part = datasets.parse({"name": "volumes", "params": params})
lines = Path("/proc/self/status").read_text().splitlines()
used = next(int(line.split()[1]) for line in lines if line.startswith("VmData")) * 1024
limit = used + (96 << 20)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.ones(512**3, np.uint8)
except MemoryError:
    pass
else:
    print("unlimited")
    raise SystemExit
data = part.build(DataContext(Path, Path(sys.argv[2])))
sampler = samplers.parse(
    {"name": "foreground_patches", "params": {"patches_per_volume": 20}}
).build(data.splits["train"], 2)
generator = np.random.Generator(np.random.Philox(0))
for number, (index, cut) in enumerate(sampler.epoch(0, generator)):
    sample = data.splits["train"].load(Draw(number, index, cut), generator)
    corner = int(sample.image[0, 0, 0, 0])
    depth = np.arange(corner, corner + 128, dtype=np.uint16)[:, None, None]
    assert (sample.image[0] == depth).all(), "each slice holds its own number"
tile = data.splits["val"].load(Draw(0, 63), generator)
assert tile.image.min() == 384
print(data.spec.measured["class_pixels"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the data of a process")
@pytest.mark.parametrize("normalise", ["zscore", "percentile"])
@pytest.mark.parametrize("compression", ["lzw", None])
def test_memory_is_bounded_by_the_patch_and_not_by_the_volume(
    tmp_path: Path, compression: str | None, normalise: str
) -> None:
    root = tmp_path / "root"
    for name, highest in (("images", EDGE), ("labels", 2)):
        (root / name).mkdir(parents=True)
        dtype = np.uint16 if name == "images" else np.uint8
        pages = (np.full((EDGE, EDGE), depth % highest, dtype) for depth in range(EDGE))
        # 256 MiB and 128 MiB, of which the process below may hold 96.
        tifffile.imwrite(
            root / name / "x.tif", pages, shape=(EDGE,) * 3, dtype=dtype, metadata=None,
            compression=compression,
        )  # fmt: skip
    (root / "all.txt").write_text("x")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n" + PROGRAM]
        + [str(root), str(tmp_path / "cache"), normalise],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.stdout.strip() == "unlimited":
        pytest.skip("this kernel does not limit the data of a process")
    half = float(EDGE**3 // 2)
    assert (done.stdout.strip(), done.stderr) == (str((half, half)), "")
