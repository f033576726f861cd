"""Sampler cards as a person gets them from somebody else: loaded and, if taken, sampled from."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from flows.report.table_rows import row_of_card, row_of_version
from lsd_core.cards import SamplerCard
from lsd_core.registry.card_fields import describe, row_of, tags_of, uri_of, values_of
from lsd_core.sampler import load_sampler
from lsd_core.storage.sealed import seal
from tests.fuzz.given import RECORD
from tests.fuzz.outcomes import Case
from tests.fuzz.values import changed, spoiled


def cards(base: str, folder: Path, gen: Random, number: int) -> Iterator[Case]:
    """The card in the text, changed, and then sealed anew or not; `folder` is a store that holds nothing.

    Half of the changes are in what a card says beside how it draws.
    """

    def load(name: str, data: bytes) -> None:
        file = folder / f"{name}.json"
        file.write_bytes(data)
        sampler = load_sampler(file, store=str(folder))
        sampler.sample(2)
        _shown(sampler.card)

    yield Case("card", "as it is", partial(load, "base", base.encode()))
    for index in range(number):
        whole = json.loads(base)
        record, what = _said(whole, gen) if index % 2 else changed(whole, gen)
        if gen.random() < 0.3 and isinstance(record, dict):
            try:
                record, what = seal(record), f"{what}; sealed"
            except ValueError:  # NaN, or half a character
                what = f"{what}; not sealed"
        data = json.dumps(record).encode()
        if gen.random() < 0.2:
            data, more = spoiled(data, gen)
            what = f"{what}; {more}"
        yield Case("card", what, partial(load, str(index), data))


def _said(whole: dict[str, Any], gen: Random) -> tuple[dict[str, Any], str]:
    """The card with another certificate or evaluation."""
    name = gen.choice(["certificate", "evaluation"])
    if name == "evaluation" and gen.random() < 0.5:
        whole[name]["conditions"] = dict(RECORD)
    part, what = changed(whole[name], gen)
    return whole | {name: part}, f"{name}.{what}"


def _shown(card: SamplerCard) -> None:
    """A card as the registry, the reports and the store have it."""
    row_of_card(card)
    describe(card, uri_of(card.backbone.name, 1))
    row_of_version(row_of(card.backbone.name, 1, tags_of(card, None), {}))
    values_of(card)
    assert SamplerCard.from_json(card.sealed_json()) == card
