"""References of FID from elsewhere: whatever they hold instead is one line, and a damaged cache is made anew."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.metrics.picture_reference import images_of, moments_of, read_statistics


def npz(**arrays: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()


def png(width: int, height: int) -> bytes:
    """The begin of a picture of this size, and nothing of its pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


WHOLE = npz(mu=np.zeros(2), sigma=np.eye(2))
NO_STATISTICS = {
    "empty": b"",
    "half": WHOLE[: len(WHOLE) // 2],
    "no zip": b"PK\x03\x04" + b"x" * 60,
    "objects": npz(mu=np.array([{}, {}], dtype=object), sigma=np.eye(2)),
    "text": npz(mu=np.array(["a", "b"]), sigma=np.eye(2)),
    "another name": npz(mean=np.zeros(2)),
    "another size": npz(mu=np.zeros(3), sigma=np.eye(3)),
}


@pytest.mark.parametrize("what", NO_STATISTICS)
def test_what_is_no_statistics_is_one_line(what: str, tmp_path: Path) -> None:
    file = tmp_path / "reference.npz"
    file.write_bytes(NO_STATISTICS[what])
    with pytest.raises(InputError, match=r"reference\.npz must hold mu"):
        read_statistics(file, 2)


@pytest.mark.parametrize(
    "content", [b"", b"no picture", png(4, 4), png(60_000, 60_000), png(2**31 - 1, 2**31 - 1)]
)
def test_what_is_no_picture_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(content)
    with pytest.raises(InputError, match=r"picture\.png must be an image"):
        list(images_of(tmp_path))


def test_damaged_statistics_in_the_cache_are_computed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    folder, weights = tmp_path / "pictures", tmp_path / "weights"
    folder.mkdir()
    weights.write_bytes(b"weights")
    for shade in (0, 100, 200):
        Image.new("RGB", (2, 2), (shade, 0, 7)).save(folder / f"{shade}.png")

    def moments() -> torch.Tensor:
        return moments_of(folder, weights, 2, lambda images: images.double().mean((2, 3))[:, ::2]).mean

    first = moments()
    (kept,) = (tmp_path / "cache" / "references").iterdir()
    kept.write_bytes(WHOLE[:40])
    assert torch.equal(moments(), first)
    assert read_statistics(kept, 2).mean.tolist() == first.tolist()
