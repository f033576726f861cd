"""Weight files and checkpoints of training: read, and one network call made with what is taken."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from lsd_core.backbones import storage
from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.backbones.ddit_backbone import build_network
from lsd_core.backbones.pixels import PixelMLP
from lsd_core.processes import Absorbing, Uniform
from lsd_core.samplers.memory import one_call
from lsd_core.storage.tensorfile import TensorFile
from lsd_core.training.checkpoint import load_checkpoint, save_checkpoint
from tests.fuzz.outcomes import Case
from tests.fuzz.values import VALUES, changed, spoiled

SIZES = [*VALUES, 10**7, 2**40, 3, 7, 10**4]
CONFIG = {"steps": 4, "family": "radd"}


def bases() -> list[TensorFile]:
    """Small files of three families."""
    exact = exact_backbone("exact", length=4, num_values=4)
    transformer: dict[str, Any] = {
        "family": "radd",
        "process": Absorbing(4).to_dict(),
        "length": 4,
        "dim": 8,
        "num_blocks": 1,
        "num_heads": 2,
        "cond_dim": None,
        "body_dtype": "float32",
        "vocabulary": {"tokens": ["a", "b", "c", "d"], "separator": ""},
    }
    pixels: dict[str, Any] = {
        "family": "pixel_mlp",
        "process": Uniform(4).to_dict(),
        "length": 4,
        "width": 8,
        "num_blocks": 1,
        "level_dim": 2,
    }
    mlp = PixelMLP(num_levels=4, length=4, width=8, num_blocks=1, level_dim=2)
    return [
        TensorFile(name="exact", config=exact.config, tensors=exact.tensors()),
        TensorFile(name="words", config=transformer, tensors=build_network(transformer).state_dict()),
        TensorFile(name="pixels", config=pixels, tensors=mlp.state_dict(), notes={"task": "digits"}),
    ]


def weights(folder: Path, gen: Random, number: int) -> Iterator[Case]:
    """Files with another configuration, other tensors, or other bytes."""
    torch.manual_seed(0)
    for base in bases():
        yield Case("weights", f"{base.name} as it is", partial(_call, base.to_bytes()))
        for index in range(number):
            file, what = base, ""
            if index % 3 == 0:
                config, what = changed(dict(base.config), gen, SIZES)
                data = _with_header(base, config)
            elif index % 3 == 1:
                tensors, what = _other_tensors(base, gen)
                data = TensorFile(
                    name=base.name, config=base.config, tensors=tensors, notes=base.notes
                ).to_bytes()
            else:
                data, what = spoiled(base.to_bytes(), gen)
            yield Case("weights", f"{file.name}: {what}", partial(_call, data))
    yield from _lengths()


def _call(data: bytes) -> None:
    backbone = storage.from_bytes(data, "given.safetensors")
    one_call(backbone, 2)
    assert backbone.fingerprint


def _with_header(base: TensorFile, config: Any) -> bytes:
    """The file with another configuration, which may be no JSON that we would write."""
    data = base.to_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"]["config"] = json.dumps(config)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def _other_tensors(base: TensorFile, gen: Random) -> tuple[dict[str, torch.Tensor], str]:
    tensors = {name: tensor.clone() for name, tensor in base.tensors.items()}
    name = gen.choice(sorted(tensors))
    kind = gen.choice(["nan", "inf", "int", "half", "shorter", "flat", "gone", "more", "empty", "zero"])
    tensor = tensors[name]
    made = {
        "nan": tensor * float("nan"),
        "inf": tensor + float("inf"),
        "int": tensor.long(),
        "half": tensor.half(),
        "shorter": tensor[:-1].clone() if tensor.ndim and len(tensor) > 1 else tensor,
        "flat": tensor.flatten(),
        "empty": tensor[..., :0].clone() if tensor.ndim else tensor,
        "zero": tensor * 0,
    }.get(kind)
    if kind == "gone":
        del tensors[name]
    else:
        tensors[name if made is not None else "stranger"] = tensor.clone() if made is None else made
    return tensors, f"{name} {kind}"


def _lengths() -> Iterator[Case]:
    """Length fields that promise more than there is: the error is no longer than another."""
    whole = bases()[0].to_bytes()
    for size in (0, 1, 7, len(whole), 2**31, 2**62, 2**64 - 1):
        yield Case(
            "weights", f"a header of {size} bytes", partial(_call, size.to_bytes(8, "little") + whole[8:])
        )
    header = json.dumps({"__metadata__": {"name": "x" * 4_000_000, "config": "{}"}}).encode()
    yield Case("weights", "a name of 4 MB", partial(_call, len(header).to_bytes(8, "little") + header))
    nested = json.dumps({"__metadata__": {"name": "x", "config": "[" * 100_000}}).encode()
    yield Case("weights", "a deep configuration", partial(_call, len(nested).to_bytes(8, "little") + nested))


def checkpoints(folder: Path, gen: Random, number: int) -> Iterator[Case]:
    """Checkpoints of `lsd train`."""
    layer = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    path = folder / "base.checkpoint"
    groups = {"network": layer.state_dict()}
    save_checkpoint(path, CONFIG, 1, [optimiser], groups)
    whole = path.read_bytes()

    def load(data: bytes, name: str) -> None:
        file = folder / f"{name}.checkpoint"
        file.write_bytes(data)
        load_checkpoint(file, CONFIG, [torch.optim.Adam(torch.nn.Linear(2, 2).parameters())], groups)

    size = int.from_bytes(whole[:8], "little")
    for index in range(number):
        if index % 2:
            data, what = spoiled(whole, gen)
        else:
            header, what = changed(json.loads(whole[8 : 8 + size]), gen)
            text = json.dumps(header).encode()
            data = len(text).to_bytes(8, "little") + text + whole[8 + size :]
        yield Case("checkpoint", what, partial(load, data, str(index)))
