"""Train the judge of text on its own half of the corpus, with early stopping."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.metrics.judges.text_judge import CharGRU, TextJudge, build_judge, judge_config
from lsd_core.numerics.canonical import derive_seed
from lsd_core.tasks.corpus import ALPHABET, draw_windows, load_corpus, windows
from lsd_core.training.checkpoint import load_checkpoint, save_checkpoint

Report = Callable[[int, float], None]  # (steps done, held-out nats a character)


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Size and schedule of the judge's training."""

    embedding: int = 32
    """Width of a character's embedding."""
    hidden: int = 192
    """Width of the recurrent state."""
    dropout: float = 0.3
    """On embeddings and states, while training."""
    length: int = 128
    """Characters a window."""
    steps: int = 3000
    """Optimiser steps."""
    batch: int = 32
    """Windows a step."""
    lr: float = 3e-3
    """Peak learning rate, then linearly down to nothing."""
    seed: int = 0
    """Everything random follows from it."""


def train_judge(
    config: JudgeConfig,
    *,
    report: Report = lambda step, nats: None,
    report_every: int = 100,
    checkpoint: Path | None = None,
) -> tuple[TextJudge, dict[str, Any]]:
    """The judge at its best held-out step, and a record of its making; resumes from `checkpoint`."""
    corpus = load_corpus()
    part, held_out = corpus.tokens("judge"), windows(corpus.tokens("judge_held_out"), config.length)
    body = judge_config(Vocabulary(tuple(ALPHABET)), config.embedding, config.hidden)
    torch.manual_seed(derive_seed("judge", config.seed))
    network = build_judge(body, config.dropout)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.lr)
    best = {key: value.clone() for key, value in network.state_dict().items()}
    first, least = 0, torch.inf
    if checkpoint is not None and checkpoint.is_file():
        held = {"nats": torch.tensor(0.0, dtype=torch.float64)}
        like = {"network": network.state_dict(), "best": best, "held_out": held}
        first, groups = load_checkpoint(checkpoint, asdict(config), [optimiser], like)
        network.load_state_dict(groups["network"])
        best, least = groups["best"], float(groups["held_out"]["nats"])
    for step in range(first, config.steps):
        torch.manual_seed(derive_seed("judge-step", config.seed, step))  # dropout, the same when resumed
        for group in optimiser.param_groups:
            group["lr"] = config.lr * (1 - step / config.steps)
        index = torch.arange(config.batch) + step * config.batch
        network.train()
        loss = network(draw_windows(part, derive_seed("judge-data", config.seed), index, config.length))
        optimiser.zero_grad()
        loss.mean().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % report_every == 0 or step + 1 == config.steps:
            nats = mean_nll(network, held_out)
            if nats < least:
                least, best = nats, {key: value.clone() for key, value in network.state_dict().items()}
            report(step + 1, nats)
            if checkpoint is not None:
                held = {"nats": torch.tensor(least, dtype=torch.float64)}
                groups = {"network": network.state_dict(), "best": best, "held_out": held}
                save_checkpoint(checkpoint, asdict(config), step + 1, [optimiser], groups)
    frozen = build_judge(body)
    frozen.load_state_dict(best)
    notes = {
        "train": asdict(config),
        "corpus_sha256": corpus.sha256,
        "held_out_nats": least,
        "torch": torch.__version__,
    }
    return TextJudge(body, frozen), notes


@torch.inference_mode()
def mean_nll(network: CharGRU, tokens: Tensor) -> float:
    """Nats a character, without dropout."""
    network.eval()
    return float(torch.cat([network(rows).double() for rows in tokens.split(64)]).mean())
