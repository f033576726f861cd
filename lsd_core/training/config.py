"""Training configuration of a small backbone: a frozen, validated dataclass."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from lsd_core.errors import InputError

OPTIMISERS = ("adamw", "muon")
BODY_DTYPES = ("float32", "bfloat16")  # float16 would want its loss scaled
TRANSFORMERS = ("radd", "sedd")
PIXELS = ("gaussian", "uniform")
MOST_STEPS, MOST_SIZE = 10**9, 2**16


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Size and schedule of a training run; the defaults are those of the shipped countdown networks."""

    family: str = "radd"
    """`sedd` (time-conditioned log-scores, score entropy) or `radd` (time-free x0 distribution, cross-entropy), both
    transformers; `gaussian` or `uniform` (x0 distribution of pixels under that noise, cross-entropy)."""
    dim: int = 96
    """Width of the network."""
    num_blocks: int = 3
    """Blocks."""
    num_heads: int = 3
    """Attention heads (transformers only); must divide `dim` into even parts."""
    cond_dim: int = 32
    """Width of the time condition (`sedd` only)."""
    steps: int = 10_000
    """Optimiser steps."""
    batch: int = 64
    """Sequences a step."""
    lr: float = 3e-3
    """Peak learning rate; warmed up over `warmup` steps, then a cosine to 1% of it."""
    optimiser: str = "adamw"
    """`adamw`, or `muon` for the matrices of a transformer's blocks (`optimisers`), which wants fewer sequences."""
    warmup: int = 100
    """Warm-up steps."""
    ema: float = 0.998
    """Decay of the exponential moving average of the weights, which is what is saved."""
    position_embedding: bool = False
    """Whether positions have a learned embedding beside the rotary angles (transformers only): where rows and columns
    of a board matter, not only how far apart two tokens are."""
    body_dtype: str = "float32"
    """Precision of a transformer's body, in training and afterwards; `bfloat16` pays where there are kernels for it."""
    seed: int = 0
    """Everything random follows from it."""

    def __post_init__(self) -> None:
        if self.family not in (*TRANSFORMERS, *PIXELS):
            raise InputError("family", f"be one of {', '.join((*TRANSFORMERS, *PIXELS))}", self.family)
        for name in ("dim", "num_blocks", "num_heads", "cond_dim", "steps", "batch"):
            value, most = getattr(self, name), MOST_STEPS if name == "steps" else MOST_SIZE
            if not 1 <= value <= most:
                raise InputError(name, "be >= 1" if value < 1 else f"be <= {most}", value)
        if self.family in TRANSFORMERS and self.dim % (2 * self.num_heads):
            raise InputError("dim", "be a multiple of 2 * num_heads", self.dim)
        usual = OPTIMISERS if self.family in TRANSFORMERS else ("adamw",)
        if self.optimiser not in usual:
            raise InputError("optimiser", f"be one of {', '.join(usual)} for {self.family}", self.optimiser)
        known = BODY_DTYPES if self.family in TRANSFORMERS else ("float32",)
        if self.body_dtype not in known:
            raise InputError("body_dtype", f"be one of {', '.join(known)} for {self.family}", self.body_dtype)
        if self.position_embedding and self.family not in TRANSFORMERS:
            raise InputError("position_embedding", f"be left out for {self.family}", self.position_embedding)
        if not 0 < self.lr < math.inf:
            raise InputError("lr", "be positive and finite", self.lr)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def checkpoint_record(self) -> dict[str, Any]:
        """What identifies a checkpoint: without the settings that say what was once the only way."""
        record = self.to_dict()
        if self.body_dtype == ("bfloat16" if self.family in TRANSFORMERS else "float32"):
            del record["body_dtype"]
        if self.optimiser == "adamw":
            del record["optimiser"]
        if not self.position_embedding:
            del record["position_embedding"]
        return record
