"""Judge of the text task: an autoregressive character model trained on text that no backbone was trained on.

It is of another kind than what it judges (recurrent, left to right, trained by next characters), and its text
is the other half of the corpus, so a sampler cannot please it by pleasing its own network.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.metrics.judges.judge_file import read_judge, shipped_file
from lsd_core.storage.tensorfile import TensorFile

NAME = "text-judge"
FAMILY = "char_gru"
CONFIG_KEYS = {"family", "embedding", "hidden", "vocabulary"}
BATCH = 64  # sequences a pass


class CharGRU(nn.Module):
    """p(next character | all before), by a gated recurrent unit (Cho et al. 2014); V stands for "nothing yet"."""

    def __init__(self, num_tokens: int, embedding: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.embed = nn.Embedding(num_tokens + 1, embedding)
        self.gru = nn.GRU(embedding, hidden, batch_first=True)
        self.head = nn.Linear(hidden, num_tokens)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Int[Tensor, "b l"]) -> Float[Tensor, "b l"]:
        """-log p of each token given those before it, in nats."""
        before = F.pad(tokens[:, :-1], (1, 0), value=self.num_tokens)
        hidden, _ = self.gru(self.dropout(self.embed(before)))
        logits = self.head(self.dropout(hidden))
        return F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")


class TextJudge:
    """A frozen CharGRU with the vocabulary it reads."""

    def __init__(self, config: dict[str, Any], network: CharGRU) -> None:
        self.config, self.network = config, network.eval().requires_grad_(False)
        vocabulary = Vocabulary.of(config)
        assert vocabulary is not None
        self.vocabulary: Vocabulary = vocabulary

    @torch.inference_mode()
    def nll(self, tokens: Int[Tensor, "n l"]) -> Float[Tensor, " n"]:
        """Mean -log p of a sequence's characters, nats a character, float64."""
        parts = [self.network(part).double().mean(dim=1) for part in tokens.split(BATCH)]
        return torch.cat(parts)

    def check_vocabulary(self, vocabulary: Vocabulary | None) -> None:
        """Raise InputError unless sequences are written in the characters this judge reads."""
        if vocabulary != self.vocabulary:
            theirs = None if vocabulary is None else vocabulary.separator.join(vocabulary.tokens)
            rule = f"be the {len(self.vocabulary.tokens)} characters that the judge of text reads"
            remedy = "use the task `sequences`, or train the backbone with `lsd train text`"
            raise InputError("vocabulary of the backbone", rule, theirs, remedy)

    def to_file(self, notes: dict[str, Any]) -> TensorFile:
        tensors = dict(self.network.state_dict())
        return TensorFile(name=NAME, config=self.config, tensors=tensors, notes=notes)

    @staticmethod
    def from_bytes(data: bytes, source: str) -> "TextJudge":
        """The judge in a file; a file of anything else, or of other shapes, raises InputError."""
        network, file = read_judge(
            data, source, what="the judge of text", family=FAMILY, keys=CONFIG_KEYS, build=build_judge
        )
        return TextJudge(file.config, network)


def judge_config(vocabulary: Vocabulary, embedding: int, hidden: int) -> dict[str, Any]:
    """What such a judge's file says of it."""
    return {
        "family": FAMILY,
        "embedding": embedding,
        "hidden": hidden,
        "vocabulary": vocabulary.to_dict(),
    }


def build_judge(config: dict[str, Any], dropout: float = 0.0) -> CharGRU:
    """An untrained network of the configured size."""
    vocabulary = Vocabulary.of(config)
    if vocabulary is None:
        raise InputError("configuration.vocabulary", "be given", None)
    return CharGRU(len(vocabulary.tokens), config["embedding"], config["hidden"], dropout)


@cache
def shipped_judge() -> TextJudge:
    """The judge that ships with us."""
    return TextJudge.from_bytes(*shipped_file(NAME))
