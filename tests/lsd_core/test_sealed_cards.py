"""A card that lies on a store carries its own hash, and one whose hash is wrong is refused."""

import json
from collections.abc import Callable

import pytest

from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError

WRONG = {
    "another digest": lambda record: {"sha256": "0" * 64},
    "no digest": lambda record: {"sha256": None},
    "a list": lambda record: {"sha256": [record["sha256"]]},
    "another figure": lambda record: {"calls": record["calls"] | {"mean": 1.5}},
    "another gain": lambda record: {"table": record["table"] | {"gains": [1.0, 1.25]}},
    "another champion's seed": lambda record: {"seed": 2},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_card_whose_own_hash_is_wrong_is_refused(make_card: Callable[..., SamplerCard], what: str) -> None:
    card = make_card()
    record = json.loads(card.sealed_json())
    assert SamplerCard.from_json(json.dumps(record)) == card
    with pytest.raises(
        InputError, match=r"x/card\.json must have the content of its digest.*restore the card"
    ):
        SamplerCard.from_json(json.dumps(record | WRONG[what](record)), source="x/card.json")
