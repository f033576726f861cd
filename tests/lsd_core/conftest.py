"""A small backbone with exact conditionals, and cards for it."""

from collections.abc import Callable

import pytest

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.backbones.protocol import Backbone
from lsd_core.cards import SamplerCard

CardMaker = Callable[..., SamplerCard]


@pytest.fixture(scope="session")
def tiny_backbone() -> Backbone:
    """Countdown over 4 values at length 6; not in the catalog."""
    return exact_backbone("tiny", length=6, num_values=4)


@pytest.fixture(scope="session")
def make_card(tiny_backbone: Backbone) -> CardMaker:
    """Cards for the tiny backbone; keywords replace fields, `error` and `entropy` the reported means."""

    def make(error: float = 0.25, entropy: float = 1.2, **changes: object) -> SamplerCard:
        metrics = {
            "error": {"mean": error, "low": 0.2, "high": 0.3, "per_seed": [0.2, error, 0.3]},
            "unigram_entropy": {"mean": entropy, "per_seed": []},
        }
        selection = {
            "error": {"mean": 0.26, "per_seed": [0.25, 0.26, 0.27]},
            "unigram_entropy": {"mean": 1.21},
        }
        fields: dict[str, object] = {
            "backbone": {"name": "tiny", "fingerprint": tiny_backbone.fingerprint, "family": "markov"},
            "process": tiny_backbone.process.to_dict(),
            "sampler": "euler",
            "method": "lsd",
            "nfe": 2,
            "steps": 2,
            "calls": {"mean": 1.75, "max": 2},
            "table": {"times": [1.0, 0.5, 0.0], "gains": [1.0, 1.5], "gain_on": "log_score"},
            "seed": 1,
            "seeds": [0, 1, 2],
            "evaluation": {
                "judge": "countdown-1",
                "samples": 64,
                "primary": "error",
                "diversity": "unigram_entropy",
                "selection": selection,
                "report": metrics,
            },
            "provenance": {"config_hash": "c0ffee", "code_epoch": 1, "environment": {"torch": "2.13.0"}},
        }
        return SamplerCard.model_validate(fields | changes)

    return make
