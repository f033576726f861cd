"""The best sampler within a budget."""

import pytest

from lsd_core import registry
from lsd_core.errors import InputError
from tests.lsd_core.registry.helpers import at_nfe


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


def test_pick_passes_by_what_was_made_for_other_weights(sqlite_registry, make):
    old, new = "0" * 64, "1" * 64
    for card in (make(old, error=0.01), make(new, error=0.25)):
        registry.register(card, tracking_uri=sqlite_registry)
    pick = {"max_nfe": 8, "min_entropy": 0.0, "tracking_uri": sqlite_registry}
    registry.set_champions(make.name, old, {}, tracking_uri=sqlite_registry)
    assert registry.pick(make.name, **pick)["version"] == 1
    registry.set_champions(make.name, new, {"nfe2": 2}, tracking_uri=sqlite_registry)
    assert registry.pick(make.name, **pick)["version"] == 2
