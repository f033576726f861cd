"""LLaDA and Dream, language models that fill masks: transformers' Llama and Qwen2 with attention in both directions.

LLaDA (arXiv 2502.09992) is a Llama under OLMo's names of tensors and fields. Dream (arXiv 2508.15487) is a Qwen2 under
its own names, whose output at a position predicts the next token, as that of the network it was adapted from. Folders
are read as published, base and instruct alike; no code of theirs is executed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lsd_core.backbones.checkpoint import read_tensors
from lsd_core.backbones.family import Family, Folder
from lsd_core.backbones.foreign_code import check_config
from lsd_core.backbones.layout import Fields
from lsd_core.backbones.masked_lm import EXTRA, MaskedLM, around
from lsd_core.backbones.masked_lm_tokens import tokens_with
from lsd_core.backbones.precision import BODY_DTYPES
from lsd_core.backbones.published import find_weights, read_config
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from lsd_core.storage.tensorfile import check_tensors

LLADA_BLOCK = {
    "attn_norm": "input_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj",
    "ff_norm": "post_attention_layernorm",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
}
LLADA_OUTSIDE = {"wte": "model.embed_tokens", "ln_f": "model.norm", "ff_out": "lm_head"}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What tells the two apart."""

    family: str
    model_type: str
    """Of the published configuration, in lower case."""
    architecture: str
    """transformers' class that has this body."""
    sizes: Mapping[str, str]
    """Fields of transformers' configuration, and what they are called in the published one."""
    only: Mapping[str, Any]
    """Published fields that change the network, and the value that is known here."""
    mask: int
    """MASK, where the configuration does not say."""
    shifted: bool
    """Whether the output at a position predicts the next token."""

    def named(self, name: str) -> str:
        """transformers' name of a published tensor."""
        if self.family != "llada":
            return name
        block = re.fullmatch(r"model\.transformer\.blocks\.(\d+)\.(\w+)\.weight", name)
        if block and block[2] in LLADA_BLOCK:
            return f"model.layers.{block[1]}.{LLADA_BLOCK[block[2]]}.weight"
        outside = re.fullmatch(r"model\.transformer\.(\w+)\.weight", name)
        return f"{LLADA_OUTSIDE[outside[1]]}.weight" if outside and outside[1] in LLADA_OUTSIDE else name

    def recognises(self, folder: Path) -> bool:
        """Whether a folder's config.json is of this kind."""
        file = folder / "config.json"
        return file.is_file() and str(read_config(file).get("model_type")).lower() == self.model_type

    def load(self, folder: Path, name: str, options: Mapping[str, str]) -> MaskedLM:
        """The network in a folder, in the precision of its weights, which stay mapped from the file."""
        published = read_tensors(find_weights(folder), widen=False)
        tensors = {self.named(key): value for key, value in published.items()}
        fields = Fields(read_config(folder / "config.json"), str(folder / "config.json"))
        return self._from(folder, name, options, fields, tensors)

    def outline(self, folder: Path, name: str, options: Mapping[str, str]) -> MaskedLM:
        """Its sizes alone, from the configuration: tensors without memory, in the precision that it names."""
        fields = Fields(read_config(folder / "config.json"), str(folder / "config.json"))
        dtype = fields.get("torch_dtype", str, fields.get("dtype", str, "bfloat16"))
        if dtype not in BODY_DTYPES:
            raise InputError(f"torch_dtype in {fields.source}", f"be one of {', '.join(BODY_DTYPES)}", dtype)
        sizes = self._empty(name, self._network(fields)).state_dict()
        tensors = {key: tensor.to(getattr(torch, dtype)) for key, tensor in sizes.items()}
        return self._from(folder, name, options, fields, tensors)

    def _from(
        self,
        folder: Path,
        name: str,
        options: Mapping[str, str],
        fields: Fields,
        tensors: dict[str, Tensor],
    ) -> MaskedLM:
        network = self._network(fields)
        record = {
            "vocab_size": _count(folder, network["vocab_size"]),
            "max_position_embeddings": network["max_position_embeddings"],
            "mask_token_id": fields.get("mask_token_id", int, self.mask),
        }
        tokens = tokens_with(None, folder, name, record, options)
        config = {
            "family": self.family,
            "architecture": self.architecture,
            "network": network,
            "process": Absorbing(tokens.count).to_dict(),
            "length": tokens.length,
            "body_dtype": _dtype(tensors, str(folder)),
            "shifted": self.shifted,
            **around(tokens),
            "never": [tokens.mask],  # they write their end tokens themselves, as padding
        }
        return self.build(name, config, tensors)

    def build(self, name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> MaskedLM:
        """The backbone with these tensors, none of them copied that has the body's precision already."""
        network = self._empty(name, config["network"])
        rotary = type(network.model.rotary_emb)
        network.model.rotary_emb = rotary(config=network.config)  # no tensor of the file
        check_tensors(f"a {self.family} network", tensors, network.state_dict(), source=name)
        dtype = getattr(torch, config["body_dtype"])
        network.load_state_dict({key: value.to(dtype) for key, value in tensors.items()}, assign=True)
        for layer in network.model.layers:
            layer.self_attn.is_causal = False
        return MaskedLM(name, config, network)

    def _empty(self, name: str, network: Mapping[str, Any]) -> Any:
        """transformers' model without memory."""
        try:
            import transformers
            from transformers.initialization import no_init_weights
        except ImportError:
            raise InputError(
                "backbone", "find the extra [text]", f"no transformers for {name}", EXTRA
            ) from None
        check_config(network, f"backbone {name}")
        model_class = getattr(transformers, self.architecture)
        with torch.device("meta"), no_init_weights():
            return model_class(model_class.config_class.from_dict(dict(network)))

    def _network(self, fields: Fields) -> dict[str, Any]:
        """transformers' configuration of the body."""
        for key, value in self.only.items():
            found = fields.record.get(key)
            if found not in (None, value):
                raise InputError(f"{key} in {fields.source}", f"be {value}", found)
        sizes = {ours: fields.get(theirs, int) for ours, theirs in self.sizes.items()}
        theta = fields.get("rope_theta", float, 10000.0)
        return sizes | {
            "rms_norm_eps": fields.get("rms_norm_eps", float),
            "rope_parameters": {"rope_type": "default", "rope_theta": theta},
            "hidden_act": "silu",
            "tie_word_embeddings": False,
            "is_causal": False,
            "use_cache": False,
        }


def _count(folder: Path, size: int) -> int:
    """Tokens that the tokenizer tells apart, by its highest added one; the head has some beyond them.

    The tokenizer itself may be code of the folder, which is not executed.
    """
    file = folder / "tokenizer_config.json"
    added = read_config(file).get("added_tokens_decoder") if file.is_file() else None
    numbers = [int(key) for key in added if str(key).isdigit()] if isinstance(added, dict) else []
    return min(size, max(numbers) + 1) if numbers else size


def _dtype(tensors: Mapping[str, Tensor], source: str) -> str:
    """The precision that all tensors of a file share."""
    found = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()})
    if len(found) != 1 or found[0] not in BODY_DTYPES:
        raise InputError(
            f"weights in {source}", f"be all of one of {', '.join(BODY_DTYPES)}", ", ".join(found)
        )
    return found[0]


_LLADA = Kind(
    family="llada",
    model_type="llada",
    architecture="LlamaForCausalLM",
    sizes={
        "vocab_size": "embedding_size",
        "hidden_size": "d_model",
        "intermediate_size": "mlp_hidden_size",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "num_key_value_heads": "n_kv_heads",
        "max_position_embeddings": "max_sequence_length",
    },
    only={
        "block_type": "llama",
        "activation_type": "silu",
        "layer_norm_type": "rms",
        "rope": True,
        "alibi": False,
        "include_bias": False,
        "include_qkv_bias": False,
        "bias_for_layer_norm": False,
        "attention_layer_norm": False,
        "input_emb_norm": False,
        "scale_logits": False,
        "weight_tying": False,
    },
    mask=126336,
    shifted=False,
)
_DREAM = Kind(
    family="dream",
    model_type="dream",
    architecture="Qwen2ForCausalLM",
    sizes={
        name: name
        for name in (
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "max_position_embeddings",
        )
    },
    only={
        "hidden_act": "silu",
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "rope_scaling": None,
    },
    mask=151666,
    shifted=True,
)


def _family(kind: Kind) -> Family:
    folder = Folder(
        recognises=kind.recognises, load=kind.load, outline=kind.outline, options=("length", "mask")
    )
    return Family(name=kind.family, build=kind.build, folder=folder)


LLADA = _family(_LLADA)
DREAM = _family(_DREAM)
