"""A frozen autoregressive language model that scores token sequences (generative perplexity)."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor

from lsd_core.backbones.device import worker_device
from lsd_core.backbones.foreign_code import check_folder
from lsd_core.errors import InputError
from lsd_core.storage.home import weights_dir

GPT2_LARGE = "openai-community/gpt2-large"


def judge_folder(repository: str = GPT2_LARGE) -> Path:
    """Where the judge's weights are: the weights folder, else the hub's cache; InputError says how to get them."""
    folder = weights_dir() / repository.rpartition("/")[2]
    if (folder / "config.json").is_file():
        return folder
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        remedy = "pip install 'lsd-samplers[text]' -c constraints.txt"
        raise InputError("judge", "have the extra [text] installed", "not installed", remedy) from None
    found = try_to_load_from_cache(repository, "config.json")
    if isinstance(found, str) and (Path(found).parent / "model.safetensors").is_file():
        return Path(found).parent
    remedy = f"download them with: hf download {repository} --local-dir {folder}"
    raise InputError(f"judge {repository}", "have its weights", f"nothing in {folder}", remedy)


@cache
def load_judge(folder: Path) -> Any:
    """The causal language model in a local folder, frozen; safetensors only, and no code from it."""
    import transformers

    check_folder(folder)
    auto: Any = transformers.AutoModelForCausalLM
    try:
        model, loaded = auto.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise InputError(f"judge {folder}", "be a causal language model in safetensors", reason) from None
    missing = sorted(loaded["missing_keys"])
    if missing:  # the library would go on with random numbers in their place
        raise InputError(f"judge {folder}", "hold all its weights", f"no {missing[0]}")
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def causal_nll(model: Any, tokens: Int[Tensor, "n l"], batch: int = 4) -> Float[Tensor, " n"]:
    """Mean -log p(x_i | x_<i) over the tokens 2..l of each sequence, nats a token; its exp is the perplexity.

    Token ids are given to the judge as they are, so backbone and judge must share a tokenizer. One call of
    the judge a batch.
    """
    known = int(model.config.vocab_size)
    if int(tokens.max()) >= known:
        raise InputError("tokens", f"lie in the judge's vocabulary of {known}", int(tokens.max()))
    model, out = model.to(worker_device()), []
    for rows in tokens.to(model.device).split(batch):
        log_p = model(input_ids=rows).logits[:, :-1].float().log_softmax(-1)
        out.append(-log_p.gather(-1, rows[:, 1:, None])[..., 0].double().mean(dim=1))
    return torch.cat(out).cpu()
