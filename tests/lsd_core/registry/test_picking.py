"""The best sampler within a budget."""

import pytest

from lsd_core import registry
from lsd_core.errors import InputError
from tests.lsd_core.registry.helpers import at_nfe


@pytest.mark.slow
def test_pick_takes_the_best_champion_within_the_budget(uri, make):
    name = make.name
    cold = make(error=0.01, entropy=0.3, method="temperature")
    for card in (
        make(error=0.25),
        cold,
        make(error=0.125, **at_nfe(4)),
        make(error=0.1, entropy=1.0, **at_nfe(4)),
    ):
        registry.register(card, tracking_uri=uri)
    registry.set_champions(name, cold.backbone.fingerprint, {"nfe2": 1, "nfe4": 3}, tracking_uri=uri)
    pick = lambda **limits: registry.pick(name, tracking_uri=uri, **limits)["version"]  # noqa: E731
    assert pick(max_nfe=16) == 3
    assert pick(max_nfe=3) == 1  # the cold one has less error, and no alias
    assert pick(max_nfe=4, min_entropy=0.9) == 4
    assert pick(max_nfe=4, min_entropy=0.0) == 2
    with pytest.raises(
        InputError, match="max_nfe must leave a champion within the budget, got 1; there are: 2, 4"
    ):
        pick(max_nfe=1)
    with pytest.raises(InputError, match=r"entropy is at least 1.5 nat, got 4; there are: none"):
        pick(max_nfe=4, min_entropy=1.5)


CONDITIONS = {"part": "held_out", "held_out": 0.5, "templates": 3, "free": [1, 2], "unconditional": 0.0}


def test_pick_compares_what_was_measured_on_the_same_conditions(sqlite_registry, make):
    uri, name, plain = sqlite_registry, make.name, make(error=0.25)

    def conditional(digest: str, **changes):
        record = make(**changes).model_dump(mode="json", exclude={"components"})
        record["evaluation"]["conditions"] = CONDITIONS | {"digest": digest * 2}
        return type(plain).model_validate(record)

    pick = lambda **limits: registry.pick(name, tracking_uri=uri, **limits)["version"]  # noqa: E731
    for card in (
        conditional("0123abcd", error=0.2),
        conditional("0123abcd", error=0.1, **at_nfe(4)),
        conditional("ffffffff", error=0.01),
    ):
        registry.register(card, tracking_uri=uri)
    held = {"nfe2-given-0123abcd": 1, "nfe4-given-0123abcd": 2, "nfe2-given-ffffffff": 3}
    registry.set_champions(name, plain.backbone.fingerprint, held, tracking_uri=uri)
    with pytest.raises(
        InputError, match=r"given must be a set .* there are: 0123abcd, ffffffff, got nothing"
    ):
        pick(max_nfe=8)
    registry.register(plain, tracking_uri=uri)
    registry.set_champions(name, plain.backbone.fingerprint, {"nfe2": 4}, tracking_uri=uri)
    # the others have less error, on other data
    assert pick(max_nfe=8) == pick(max_nfe=8, min_entropy=0.0) == 4
    assert pick(max_nfe=8, given="0123abcd") == pick(max_nfe=8, given="0123abcd", min_entropy=0.0) == 2
    assert pick(max_nfe=2, given="0123abcd") == 1
    assert pick(max_nfe=2, given="ffffffff") == 3
    with pytest.raises(InputError, match=r"given must be a set .* got 89abcdef"):
        pick(max_nfe=8, given="89abcdef")


def test_pick_passes_by_what_was_made_for_other_weights(sqlite_registry, make):
    old, new = "0" * 64, "1" * 64
    for card in (make(old, error=0.01), make(new, error=0.25)):
        registry.register(card, tracking_uri=sqlite_registry)
    pick = {"max_nfe": 8, "min_entropy": 0.0, "tracking_uri": sqlite_registry}
    registry.set_champions(make.name, old, {}, tracking_uri=sqlite_registry)
    assert registry.pick(make.name, **pick)["version"] == 1
    registry.set_champions(make.name, new, {"nfe2": 2}, tracking_uri=sqlite_registry)
    assert registry.pick(make.name, **pick)["version"] == 2
