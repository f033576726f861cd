"""Template of a grid file for a newly trained backbone, with sizes for a first look."""

import json
from pathlib import Path

TEMPLATE = """\
# Few-step samplers for {stem}. Sizes are for a first look; for claims take 4096 samples and 3 seeds.
# Judged by the network's own likelihood at equal entropy: how near few steps come to its exact samples.
name: {name}
sizes: "First-look sizes (256 samples x 2 seeds), judged by the network itself."
backbones: [{path}]
nfe: {nfe}
samplers: [euler, tweedie, halton]
methods: [plain, cosine, jys, temperature, path_kl]
teacher: {{trajectories: 128, shard_rows: 32, batch: {batch}}}
evaluation: {{samples: 256, selection_samples: 256, seeds: 2, batch: {batch}, temperatures: [1.0, 0.8],
             certificate_paths: 64}}
"""
BATCHES = (32, 16, 8, 4, 2, 1)  # divisors of a shard


def write_grid(weights: Path, length: int) -> Path:
    """Write NAME.yaml beside NAME.safetensors and return its path; a file that is there is left alone."""
    path = weights.with_suffix(".yaml")
    if not path.exists():
        batch = next(size for size in BATCHES if size * length <= 2048 or size == 1)
        nfe = [calls for calls in (4, 8, 16) if calls <= length] or [length]
        text = TEMPLATE.format(
            stem=weights.stem,
            name=json.dumps(weights.stem),
            path=json.dumps(str(weights)),
            nfe=nfe,
            batch=batch,
        )
        path.write_text(text)
    return path
