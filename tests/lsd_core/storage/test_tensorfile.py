"""A weight file is read whole or not at all, and nothing in it is ever executed."""

import io
import pickle
from pathlib import Path

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.storage.tensorfile import TensorFile, check_tensors

WHOLE = TensorFile(
    name="n",
    config={"b": 1, "a": [2]},
    tensors={"w": torch.arange(6.0).view(2, 3), "b": torch.ones(2)},
    notes={"steps": 3},
)


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_what_is_written_is_read_and_equal_content_has_equal_bytes() -> None:
    data = WHOLE.to_bytes()
    read = TensorFile.from_bytes(data, "file")
    assert (read.name, read.config, read.notes) == ("n", WHOLE.config, {"steps": 3})
    assert all(torch.equal(read.tensors[key], value) for key, value in WHOLE.tensors.items())
    shuffled = TensorFile(
        name="n",
        config={"a": [2], "b": 1},
        tensors=dict(reversed(WHOLE.tensors.items())),
        notes={"steps": 3},
    )
    assert shuffled.to_bytes() == data


def test_damaged_files_and_pickles_are_refused_in_a_line_and_nothing_runs(tmp_path: Path) -> None:
    data, trace = WHOLE.to_bytes(), tmp_path / "trace"
    torch_file = io.BytesIO()
    torch.save({"w": torch.ones(2), "p": Payload(trace)}, torch_file)
    bad = [b"", b"\0" * 8, pickle.dumps(Payload(trace)), torch_file.getvalue(), b"PK\x03\x04" + data]
    bad += [data[:cut] for cut in (4, 40, len(data) // 2, len(data) - 1)]
    bad.append(data.replace(b'{\\"a\\":[2],\\"b\\":1}', b"[1,1,1,1,1,1,1,1,1,1,1]"[:21]))
    for content in bad:
        with pytest.raises(InputError) as caught:
            TensorFile.from_bytes(content, "weights.file", "judge")
        assert str(caught.value).startswith("weights.file must be a whole judge in safetensors")
        assert "\n" not in str(caught.value)
    assert not trace.exists()


def test_wrong_layouts_name_the_tensor() -> None:
    expected = {"w": torch.zeros(2, 3), "b": torch.zeros(2)}
    check_tensors("a judge", WHOLE.tensors, expected)
    with pytest.raises(InputError, match=r"missing \['b'\], unexpected \['c'\]"):
        check_tensors("a judge", {"w": expected["w"], "c": expected["b"]}, expected)
    with pytest.raises(InputError, match=r"tensor w must have shape \(2, 3\), got \(3, 2\)"):
        check_tensors("a judge", {"w": torch.zeros(3, 2), "b": expected["b"]}, expected)
