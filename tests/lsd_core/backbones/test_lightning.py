"""A checkpoint of a training framework: refused for its objects, with the lines that convert it, which do."""

import argparse
from pathlib import Path

import pytest
import torch

from lsd_core.backbones.checkpoint import read_tensors
from lsd_core.errors import InputError


def test_the_lines_of_the_refusal_keep_weights_and_averages(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    state = {"backbone.w": torch.zeros(3), "backbone.rotary_emb.inv_freq": torch.ones(2)}
    average = torch.tensor([1.0, 2.0, 3.0])
    torch.save(
        {
            "state_dict": state,
            "ema": {"decay": 0.9999, "num_updates": 5, "shadow_params": [average]},
            "hyper_parameters": argparse.Namespace(lr=1e-3),
            "global_step": 5,
        },
        path,
    )
    with pytest.raises(
        InputError, match=r"hold tensors alone, got a pickle that asks for argparse\.Namespace"
    ) as refusal:
        read_tensors(path)
    said = str(refusal.value)
    assert "\n" not in said
    code = said.partition("convert it: ")[2]
    assert len(code.split("; ")) == 3
    exec(code, {"FILE": path})  # the lines as a person would run them
    found = read_tensors(path)
    assert set(found) == set(state)
    assert torch.equal(found["backbone.w"], average)
