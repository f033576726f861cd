"""Names of aliases: a budget, perhaps a base sampler, and the set of templates where something is given."""

import re

import pytest

from lsd_core import registry
from lsd_core.errors import InputError
from lsd_core.registry.aliases import ALIAS
from tests.lsd_core.registry.helpers import aliases


@pytest.mark.parametrize(
    ("alias", "parts"),
    [
        ("nfe8", ("8", None, None)),
        ("nfe16-euler", ("16", "euler", None)),
        ("nfe8-lsd-own", ("8", "lsd-own", None)),
        ("nfe8-given-0123abcd", ("8", None, "0123abcd")),
        ("nfe8-fixed_counts-given-0123abcd", ("8", "fixed_counts", "0123abcd")),
    ],
)
def test_an_alias_is_read_by_its_parts(alias: str, parts: tuple[str | None, ...]) -> None:
    match = re.fullmatch(ALIAS, alias)
    assert match is not None
    assert (match["nfe"], match["sampler"], match["given"]) == parts


@pytest.mark.parametrize("alias", ["nfe0", "nfe", "nfe8-", "nfe8-given-", "nfe8-given-0123", "best"])
def test_others_are_no_aliases(alias: str) -> None:
    assert re.fullmatch(ALIAS, alias) is None


@pytest.mark.slow
def test_an_alias_for_conditions_takes_their_versions_alone(sqlite_registry, make) -> None:
    uri, name, plain = sqlite_registry, make.name, make()
    record = plain.model_dump(mode="json", exclude={"components"})
    given = {"digest": "0123abcd" * 2, "part": "held_out", "held_out": 0.5, "templates": 3, "free": [1, 2]}
    given |= {"unconditional": 0.0}
    record["evaluation"]["conditions"] = given
    conditional = type(plain).model_validate(record)
    for card in (plain, conditional):
        registry.register(card, tracking_uri=uri)
    registry.promote(name, "nfe2", 1, tracking_uri=uri)
    registry.promote(name, "nfe2-given-0123abcd", 2, tracking_uri=uri)
    for alias, version in (("nfe2", 2), ("nfe2-given-0123abcd", 1), ("nfe2-given-ffffffff", 2)):
        with pytest.raises(InputError, match=f"have given .* to hold {alias}"):
            registry.promote(name, alias, version, tracking_uri=uri)
    assert aliases(name, uri) == {"nfe2": 1, "nfe2-given-0123abcd": 2}
