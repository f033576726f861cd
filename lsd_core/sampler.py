"""A learned sampler, loaded: the card, its backbone, and `sample`."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.device import device_of, known_device, place
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.publish import find
from lsd_core.backbones.vocabulary import written
from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError
from lsd_core.plugins import require
from lsd_core.registry import resolve
from lsd_core.samplers import generate
from lsd_core.samplers.memory import check_tokens
from lsd_core.samplers.prompts import BLANK, Given, given_tokens
from lsd_core.storage.home import default_store
from lsd_core.storage.store import Store

HUB = "hf://"  # a repository on the Hugging Face hub is laid out as a store


@dataclass(frozen=True)
class LoadedSampler:
    """A sampler card with the backbone it was made for; any other backbone is refused."""

    card: SamplerCard
    backbone: AnyBackbone

    def __post_init__(self) -> None:
        self.card.check_backbone(self.backbone)

    @property
    def nfe(self) -> int:
        """Network calls that no sample exceeds."""
        return self.card.nfe

    def sample(
        self,
        num_samples: int,
        seed: int = 0,
        *,
        prompt: Given | None = None,
        infill: Given | None = None,
        blank: str = BLANK,
    ) -> Int[Tensor, "n l"]:
        """Finished sequences, (num_samples, l) int64 on the CPU; `sample(32)` begins with `sample(16)`.

        `prompt` (token numbers, or text in the backbone's own tokens) is what all begin with; `infill` is a
        template with None, or in text `blank`, where tokens are to be drawn. What is given never changes.
        """
        check_tokens("num_samples", num_samples, self.backbone)
        given = given_tokens(self.backbone, prompt, infill, blank)
        card = self.card
        device = device_of(self.backbone)
        return generate(
            self.backbone, card.sampler, card.table, num_samples, seed, device=device, given=given
        ).tokens

    def write(self, tokens: Int[Tensor, "n l"]) -> list[str]:
        """Sequences as a person reads them: text where the backbone has a vocabulary, else token numbers."""
        return written(self.backbone.config, tokens)

    def __repr__(self) -> str:
        return f"LoadedSampler({self.card.title}, seed {self.card.seed}, card {self.card.sha256[:8]})"


def load_sampler(
    uri: str | os.PathLike[str],
    *,
    store: str | None = None,
    tracking_uri: str | None = None,
    device: torch.device | str = "cpu",
) -> LoadedSampler:
    """The sampler behind `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `hf://OWNER/NAME`, or the path or URL of
    a card.json.

    Its backbone is the shipped one if the fingerprint agrees; else it comes from `store`, or, if none is
    given, from `LSD_STORE`, the store that the registry or the card's own place tells of, or the home's.
    It computes on `device`, such as "cuda". Nothing that was stored is executed. Raises InputError.
    """
    card, hint = _find_card(os.fspath(uri), tracking_uri)
    return sampler_of(card, store=store, hint=hint, device=device)


def sampler_of(
    card: SamplerCard,
    *,
    store: str | None = None,
    hint: str | None = None,
    device: torch.device | str = "cpu",
) -> LoadedSampler:
    """The sampler that a card describes, its backbone from `store`, or from the usual places and then `hint`."""
    require(card.components)
    places = [store] if store else [os.environ.get("LSD_STORE"), hint, default_store()]
    backbone = _find_backbone(card, list(dict.fromkeys(filter(None, places))))
    return LoadedSampler(card, place(backbone, known_device(device)))


def _find_card(uri: str, tracking_uri: str | None) -> tuple[SamplerCard, str | None]:
    """The card, and the store that its place tells of."""
    if uri.startswith("models:"):
        resolved = resolve(uri, tracking_uri=tracking_uri)
        return resolved.card, resolved.store_url
    if Path(uri).is_dir() or (uri.startswith(HUB) and not uri.endswith(".json")):
        uri = f"{uri.rstrip('/')}/card.json"
    folder, _, name = uri.rpartition("/")
    try:
        text = Store(folder or ("/" if uri.startswith("/") else ".")).read_bytes(name).decode()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        rule = (
            "be models:/NAME@ALIAS, models:/NAME/VERSION, hf://OWNER/NAME, or the path or URL of a card.json"
        )
        raise InputError("uri", rule, f"{uri} ({type(error).__name__})") from None
    root, cells, _ = uri.rpartition("/cells/")
    place = folder if uri.startswith(HUB) else root if cells else None
    return SamplerCard.from_json(text, source=uri), place


def _find_backbone(card: SamplerCard, stores: list[str]) -> AnyBackbone:
    """The card's backbone, from what ships with us or the first store that has it."""
    reasons = []
    for url in stores:
        try:
            return find(card.backbone.name, card.backbone.fingerprint, Store(url))
        except InputError as error:
            reasons.append(str(error))
    raise InputError(
        f"backbone {card.backbone.name}",
        f"be found with the card's fingerprint {card.backbone.fingerprint}",
        "; ".join(reasons),
        "name the store it was published to (--store or LSD_STORE)",
    )
