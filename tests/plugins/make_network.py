"""Writes example-network/, a published folder of the family `neighbours`, with random weights."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

folder = Path("example-network")
folder.mkdir(exist_ok=True)
gen = torch.Generator().manual_seed(0)
tables = {f"{side}.weight": torch.randn(9, 8, generator=gen) for side in ("left", "right")}
save_file(tables, folder / "model.safetensors")
config = {"model_type": "neighbours", "vocab_size": 8, "length": 16}
(folder / "config.json").write_text(json.dumps(config))
