"""AntiBERTy (Ruffolo et al. 2021, arXiv 2112.07782): a BERT of antibodies, its weights in its Python package.

26 million parameters, trained by its authors on 558 million antibody sequences, one residue a token. The package is
only located, never imported: weights, configuration and vocabulary are read as data, and nothing is downloaded.
"""

from importlib.util import find_spec
from pathlib import Path

from lsd_core.backbones.checkpoint import read_tensors
from lsd_core.backbones.layout import Fields
from lsd_core.backbones.masked_lm import NAME, MaskedLM, build
from lsd_core.backbones.masked_lm_tokens import vocabulary_of
from lsd_core.backbones.published import read_config
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing

PACKAGE = "antiberty"
WEIGHTS = "AntiBERTy_md_smooth"
LENGTH = 120  # residues: about a heavy chain's variable domain
SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "vocab_size",
    "pad_token_id",
)
OTHER_HEADS = ("cls.species.", "cls.chain.", "cls.graft.", "bert.pooler.", "bert.embeddings.position_ids")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def antibody(name: str) -> MaskedLM:
    """The network in the installed package, for sequences of LENGTH residues between its CLS and SEP.

    Its heads for species, chain and grafting are left out.
    """
    folder = _models()
    source = folder / WEIGHTS / "config.json"
    fields = Fields(read_config(source), str(source))
    written = (folder / "vocab.txt").read_text(encoding="utf-8").split()
    if written[: len(SPECIAL)] != list(SPECIAL):
        raise InputError(f"tokens of {name}", f"begin with {' '.join(SPECIAL)}", written[: len(SPECIAL)])
    never = list(range(len(SPECIAL)))
    vocabulary = vocabulary_of(written, set(never))
    assert vocabulary is not None
    found = read_tensors(folder / WEIGHTS / "pytorch_model.bin")
    config = {
        "family": NAME,
        "architecture": "BertForMaskedLM",
        "network": {"model_type": "bert"}
        | {key: fields.record[key] for key in SIZES}
        | {
            "layer_norm_eps": fields.get("layer_norm_eps", float),
            "hidden_act": fields.get("hidden_act", str),
        },
        "process": Absorbing(len(written)).to_dict(),
        "length": LENGTH,
        "body_dtype": "float32",
        "mask": written.index("[MASK]"),
        "before": [written.index("[CLS]")],
        "after": [written.index("[SEP]")],
        "never": never,
        "vocabulary": vocabulary.to_dict(),
    }
    return build(name, config, {key: found[key] for key in found if not key.startswith(OTHER_HEADS)})


def _models() -> Path:
    """The folder of models in the package."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        remedy = "pip install -e '.[antibody]' -c constraints.txt"
        raise InputError("backbone antibody", f"find the package {PACKAGE}", "none", remedy)
    return Path(spec.submodule_search_locations[0]) / "trained_models"
