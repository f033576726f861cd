"""MAUVE (Pillutla et al. 2021): the area under the divergence curve of two texts' quantised features.

The library is `mauve-text` (extra [metrics]); the features are a causal language model's last hidden state at a
text's last token, as published. Features of another model give another MAUVE, so the model is part of its name.
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lsd_core.backbones.device import worker_device
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.metrics.judges.causal_judge import judge_folder, load_judge
from lsd_core.metrics.metric import Metric
from lsd_core.numerics.plain_text import parse_json
from lsd_core.storage.home import weights_dir

LONGEST = 1024  # tokens of a text that are read, as published
INSTALL = "pip install 'lsd-samplers[text,metrics]' -c constraints.txt"


def mauve(
    one: Float[np.ndarray, "n d"],
    other: Float[np.ndarray, "m d"],
    *,
    buckets: int | None = None,
    seed: int = 25,
) -> tuple[float, float]:
    """(MAUVE, MAUVE* with smoothed histograms) of two sets of features, in (0, 1]; 1 where they cannot be told apart.

    `buckets` is the number of clusters; the library's choice, a tenth of the smaller set, if left out. The
    star's smoothing (Pillutla et al. 2023) makes small sets comparable.
    """
    if min(len(one), len(other)) < 2:
        raise InputError("samples", "be at least 2 a side", (len(one), len(other)))
    from mauve import compute_mauve

    found = compute_mauve(
        p_features=one, q_features=other, num_buckets=buckets or "auto", seed=seed, verbose=False
    )
    return float(found.mauve), float(found.mauve_star)


def written_texts(tokens: Int[Tensor, "n l"], backbone: AnyBackbone, folder: Path) -> list[str]:
    """Samples as text: in the backbone's own vocabulary, else in the tokens of the model that looks at them."""
    vocabulary = Vocabulary.of(backbone.config)
    if vocabulary is not None:
        return [vocabulary.decode(row) for row in tokens.tolist()]
    tokenizer = load_tokenizer(folder)
    size, known = backbone.process.num_tokens, len(tokenizer)
    if size not in (
        known,
        known + 1,
    ):  # a uniform network may count a mask token after those of its tokenizer
        rule = f"write text, or the {known} tokens of the model that MAUVE looks with"
        raise InputError(f"backbone {backbone.name}", rule, f"{size} tokens")
    written: list[str] = tokenizer.batch_decode(tokens.clamp(max=known - 1))
    return written


@cache
def read_texts(path: Path) -> tuple[str, ...]:
    """The texts of a file: the field `text` of each line of JSON in .jsonl, else each line that is not empty."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        return (
            tuple(str(parse_json(line, str(path))["text"]) for line in lines)
            if path.suffix == ".jsonl"
            else tuple(lines)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(str(path), "hold texts in UTF-8", f"{type(error).__name__}: {error}") from None


@torch.inference_mode()
def features(texts: list[str] | tuple[str, ...], folder: Path, batch: int = 4) -> Float[np.ndarray, "n d"]:
    """Last hidden state at the last of each text's first 1024 tokens; an empty text is the model's first token."""
    model, tokenizer = load_judge(folder).to(worker_device()), load_tokenizer(folder)
    longest = min(LONGEST, getattr(model.config, "n_positions", LONGEST))
    rows = [torch.tensor((tokenizer(text)["input_ids"] or [0])[:longest]) for text in texts]
    states = []
    for begin in range(0, len(rows), batch):
        some = rows[begin : begin + batch]
        padded = pad_sequence(
            some, batch_first=True
        )  # to the right, where a causal model never looks back from
        hidden = model(input_ids=padded.to(model.device), output_hidden_states=True).hidden_states[-1]
        states.append(hidden[torch.arange(len(some)), torch.tensor([len(row) - 1 for row in some])])
    return torch.cat(states).double().cpu().numpy()


@cache
def load_tokenizer(folder: Path) -> Any:
    """The tokenizer that lies beside a model; no code from it."""
    import transformers

    auto: Any = transformers.AutoTokenizer
    try:
        return auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise InputError(f"tokenizer in {folder}", "be there", reason) from None


@dataclass(frozen=True, kw_only=True)
class Config:
    """The model of the features, and the reference texts."""

    model: str
    """A causal language model's id on the hub."""
    reference: str
    """File of texts in the weights folder: one a line, or .jsonl with a field `text`."""


def compute(tokens: Tensor, backbone: AnyBackbone, config: Config) -> dict[str, float]:
    """Of samples and the first n reference texts (or all there are): as published, and with the star's smoothing."""
    folder = judge_folder(config.model)
    texts = read_texts(weights_dir() / config.reference)[: len(tokens)]
    own = written_texts(tokens, backbone, folder)
    plain, smoothed = mauve(features(texts, folder), features(own, folder))
    return {"mauve": plain, "mauve_star": smoothed}


def check(backbone: AnyBackbone, samples: int, config: Config) -> None:
    """Raise InputError unless the libraries, the model and enough texts are there, and samples can be written."""
    for package in ("mauve", "transformers"):
        if find_spec(package) is None:
            raise InputError("metric mauve", f"have the package of {package}", "not installed", INSTALL)
    folder = judge_folder(config.model)
    written_texts(torch.zeros(1, 1, dtype=torch.long), backbone, folder)
    path = weights_dir() / config.reference
    if not path.is_file():
        remedy = "put texts there: one a line, or .jsonl with a field `text`"
        raise InputError("reference of mauve", "be a file of texts", f"nothing at {path}", remedy)
    found = len(read_texts(path))
    if found < samples:
        raise InputError(f"texts in {path}", f"be at least as many as the samples, {samples}", found)


METRIC = Metric(name="mauve", compute=compute, config_class=Config, check=check)
