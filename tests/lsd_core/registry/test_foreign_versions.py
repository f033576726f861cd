"""A version that another program registered under a backbone's name is left out of lists, and the others are listed."""

from types import SimpleNamespace
from typing import Any

import pytest

from lsd_core.registry import lookup
from lsd_core.registry.card_fields import tags_of

SPOILED: dict[str, dict[str, str | None]] = {
    "no tags": {},
    "nfe": {"nfe": "many"},
    "no method": {"method": None},
    "method": {"method": "\x1b[2J"},
    "sampler": {"sampler": "<b>"},
    "primary": {"primary": "low"},
    "certificate": {"certificate_value_nats": "none"},
}


@pytest.mark.parametrize("what", SPOILED)
def test_versions_that_are_no_cards_are_left_out(
    what: str, make_card: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tags = tags_of(make_card(certificate={"value_nats": 1.0}), None)
    spoiled = {key: value for key, value in (tags | SPOILED[what]).items() if value is not None}
    found = [
        SimpleNamespace(version=1, tags={} if what == "no tags" else spoiled),
        SimpleNamespace(version="2", tags=tags),
    ]
    monkeypatch.setattr(lookup, "connect", lambda *_, **__: None)
    monkeypatch.setattr(lookup, "aliases_of", lambda *_: {"nfe2": 2})
    monkeypatch.setattr(lookup, "versions_of", lambda *_: found)
    assert [row["version"] for row in lookup.list_versions("tiny")] == [2]
    assert "left out: version 1 of tiny is no card" in caplog.text
