"""A package of the layout of AntiBERTy's, with a tiny network."""

import json
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM

from tests.lsd_core.metrics.antibodies import RESIDUES

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *RESIDUES]


def write_package(place: Path) -> BertForMaskedLM:
    """The package in a folder of `place`, and transformers' model of its weights; importing it raises."""
    models = place / "antiberty" / "trained_models"
    weights = models / "AntiBERTy_md_smooth"
    weights.mkdir(parents=True)
    (place / "antiberty" / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
    )
    model = BertForMaskedLM(config).eval()
    published = config.to_dict() | {"architectures": ["AntiBERTy"], "_name_or_path": "elsewhere"}
    (weights / "config.json").write_text(json.dumps(published))
    (models / "vocab.txt").write_text("\n".join(WORDS))
    heads = {f"cls.{head}.weight": torch.ones(2, 16) for head in ("species", "chain", "graft")}
    pooler = {
        "bert.pooler.dense.weight": torch.ones(16, 16),
        "bert.embeddings.position_ids": torch.arange(128),
    }
    torch.save(model.state_dict() | heads | pooler, weights / "pytorch_model.bin")
    return model
