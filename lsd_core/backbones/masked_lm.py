"""Masked language models of transformers (BERT, RoBERTa, ModernBERT, ESM-2, DPLM, ...) as absorbing backbones.

A folder whose config.json names a `...ForMaskedLM` is read by transformers itself; no code of the folder is executed.
The model's MASK may be any of its tokens; here MASK is a state after all tokens, so tokens keep the model's numbers.
Tokens around the sequence, such as CLS and SEP, are put there at every call and are no positions of it.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lsd_core.backbones.adapted import IMPOSSIBLE
from lsd_core.backbones.family import Family, Folder
from lsd_core.backbones.foreign_code import check_config, check_folder
from lsd_core.backbones.frozen import FrozenNetwork, tensors_once
from lsd_core.backbones.masked_lm_tokens import Tokens, tokens_of
from lsd_core.backbones.precision import BODY_DTYPES
from lsd_core.backbones.published import read_config
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing

NAME = "masked-lm"
EXTRA = "pip install 'lsd-samplers[text]' -c constraints.txt"
NOT_IDENTITY = (
    "transformers_version",
    "_name_or_path",
    "dtype",
    "torch_dtype",
)  # of a published configuration


class MaskedLM(FrozenNetwork[nn.Module]):
    """A frozen masked language model: time-independent, normalised over all tokens that may be written.

    Where the configuration says `shifted`, the output at a position predicts the next token.
    Cost of `features`: one call of the body on l tokens and those around them. `head` projects chosen rows alone.
    """

    time_free = True
    normalised = True

    def __init__(self, name: str, config: dict[str, Any], network: nn.Module) -> None:
        super().__init__(name, config, network)
        self.family: str = config["family"]
        self.process = Absorbing.from_dict(config["process"])
        self.mask: int = config["mask"]
        self.before, self.after = list(config["before"]), list(config["after"])
        self.never = [token for token in config["never"] if token < self.process.num_tokens]
        self.shifted = bool(config.get("shifted"))
        self._way = (network, way_to_logits(network))

    @torch.inference_mode()
    def features(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l d"]:
        """Last hidden states at the sequence's own positions; t has no influence. One network call.

        Of equal sequences, such as those of which nothing is known yet, one goes through the network for all.
        """
        if len(x) > 1 and not x.is_meta and bool((x == x[:1]).all()):
            return self.features(x[:1], t[:1]).expand(len(x), -1, -1)
        shown = torch.where(x == self.process.mask, self.mask, x)
        parts = [x.new_tensor(around).expand(len(x), -1) for around in (self.before, self.after)]
        inputs = torch.cat([parts[0], shown, parts[1]], dim=1)
        body: nn.Module = self.network.base_model  # type: ignore[assignment]
        seen = (
            None if inputs.is_meta else torch.ones_like(inputs)
        )  # all of them, which sizes alone do not say
        hidden = body(input_ids=inputs, attention_mask=seen)[0]
        if self.shifted:
            hidden = torch.cat([hidden[:, :1], hidden[:, :-1]], dim=1)
        begin = len(self.before)
        return hidden[:, begin : begin + x.shape[1]]

    def head(self, rows: Float[Tensor, "r d"]) -> Float[Tensor, "r v"]:
        """Log-probabilities of the clean token over the tokenizer's tokens, in float32 or better."""
        if self._way[0] is not self.network:  # a copy on another device
            self._way = (self.network, way_to_logits(self.network))
        logits = self._way[1](rows)[:, : self.process.num_tokens]
        logits = logits.float() if logits.dtype != torch.float64 else logits.clone()
        logits[:, self.never] = IMPOSSIBLE
        return logits.log_softmax(-1)

    def tensors(self) -> dict[str, Tensor]:
        return tensors_once(self.network)


def way_to_logits(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The model's own way from last hidden states (r, d) to logits (r, v), its body replaced by the states."""
    projection = getattr(network, "lm_head", None)
    if isinstance(projection, nn.Linear):
        return projection

    class Given(nn.Module):
        """Stands for the body, and returns the states that are given."""

        states: Tensor

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            from transformers.modeling_outputs import BaseModelOutput

            return BaseModelOutput(last_hidden_state=self.states)

    given, headed = Given(), copy.copy(network)
    headed._modules = {**network._modules, str(network.base_model_prefix): given}

    def head(rows: Tensor) -> Tensor:
        given.states = rows[None]
        logits: Tensor = headed(
            input_ids=torch.zeros(1, len(rows), dtype=torch.long, device=rows.device)
        ).logits
        return logits[0]

    return head


def build(name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> MaskedLM:
    """The backbone with these tensors; one that is missing, superfluous or of another shape is named."""
    if config["body_dtype"] not in BODY_DTYPES:
        raise InputError(f"body_dtype of {name}", f"be one of {', '.join(BODY_DTYPES)}", config["body_dtype"])
    check_config(config["network"], f"backbone {name}")
    model_class, model_config = _classes(config["architecture"], config["network"])
    from transformers.initialization import no_init_weights

    with no_init_weights():
        network: nn.Module = model_class(model_config)
    try:
        missing, unexpected = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        shown = " ".join(str(error).split())[:160]
        raise InputError(f"tensors of {name}", "fit the configuration", shown) from None
    network.tie_weights()  # type: ignore[operator]
    tied = (
        set(getattr(network, "_tied_weights_keys", None) or ()) if model_config.tie_word_embeddings else set()
    )
    lacking = sorted(set(missing) - tied)
    if lacking or unexpected:
        shown = f"missing {lacking[:1] or 'none'}, unexpected {sorted(unexpected)[:1] or 'none'}"
        raise InputError(f"tensors of {name}", "be those of the configuration", shown)
    return MaskedLM(name, config, network.to(getattr(torch, config["body_dtype"])))


def recognises(folder: Path) -> bool:
    """Whether a folder's config.json names a masked language model of transformers."""
    file = folder / "config.json"
    if not file.is_file():
        return False
    names = read_config(file).get("architectures")
    return isinstance(names, list) and len(names) == 1 and str(names[0]).endswith("ForMaskedLM")


def load(folder: Path, name: str, options: Mapping[str, str]) -> MaskedLM:
    """The masked language model in a folder, with `length` and `mask` from an address's options.

    Weights are read by transformers (safetensors, sharded or not, or torch files with weights_only), and every one
    must be there: a head that the file lacks would be random.
    """
    check_folder(folder)
    record = read_config(folder / "config.json")
    model_class, _ = _classes(record["architectures"][0], _plain(record))
    try:
        network, info = model_class.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # transformers raises errors of many kinds for files that are not whole
        shown = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise InputError(f"folder {folder}", "hold the weights of its config.json", shown) from None
    lacking = sorted(info["missing_keys"])
    if lacking:
        raise InputError(f"weights in {folder}", "hold every tensor of the network", f"no {lacking[0]}")
    tokens = tokens_of(folder, name, record, options)
    config = {
        "family": NAME,
        "architecture": record["architectures"][0],
        "network": _plain(network.config.to_diff_dict()),
        "process": Absorbing(tokens.count).to_dict(),
        "length": tokens.length,
        "body_dtype": "float32",
        **around(tokens),
    }
    return MaskedLM(name, config, network)


def around(tokens: Tokens) -> dict[str, Any]:
    """The part of a configuration that says how token numbers are used."""
    record = {
        "mask": tokens.mask,
        "before": list(tokens.before),
        "after": list(tokens.after),
        "never": list(tokens.never),
    }
    return record if tokens.vocabulary is None else record | {"vocabulary": tokens.vocabulary.to_dict()}


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in NOT_IDENTITY}


def _classes(architecture: str, network: Mapping[str, Any]) -> tuple[Any, Any]:
    """transformers' class of that name, which must be one of its masked language models, and its configuration."""
    try:
        import transformers
        from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as KNOWN
    except ImportError:
        raise InputError(
            "backbone", "find the extra [text]", f"no transformers for {architecture}", EXTRA
        ) from None
    if architecture not in KNOWN.values():
        rule = "be a masked language model of the installed transformers"
        raise InputError("architecture", rule, architecture, "see the list of AutoModelForMaskedLM")
    model_class = getattr(transformers, architecture)
    fields = {key: value for key, value in network.items() if key not in ("architectures", "auto_map")}
    return model_class, model_class.config_class.from_dict(fields)


FAMILY = Family(
    name=NAME, build=build, folder=Folder(recognises=recognises, load=load, options=("length", "mask"))
)
