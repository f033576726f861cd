"""Versions, aliases and tags that another program wrote under a backbone's name are left out, or one line."""

from types import SimpleNamespace
from typing import Any

import pytest

from lsd_core.errors import InputError
from lsd_core.registry import aliases, lookup
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


def client_of(**model: object) -> Any:
    return SimpleNamespace(get_registered_model=lambda name: SimpleNamespace(**model))


@pytest.mark.parametrize("alias", ["nfe4$(touch x)", "nfe4;ls", "a b", "-n", "\x1b[2J", "<b>", ""])
def test_an_alias_that_mlflow_would_not_take_is_none(alias: str) -> None:
    client = client_of(aliases={alias: "1", "nfe4": "2", "production_v2": "3"})
    assert lookup.aliases_of(client, "tiny") == {"nfe4": 2, "production_v2": 3}


@pytest.mark.parametrize("text", ["{", '{"a": 1}', '["../../x"]', "[1e400]", "[true]", "[" * 100_000])
def test_a_history_that_is_none_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"tag history\.nfe4 of tiny must be"):
        aliases._history(client_of(tags={"history.nfe4": text}), "tiny", "nfe4")
    assert aliases._history(client_of(tags={"history.nfe4": "[3, 1]"}), "tiny", "nfe4") == [3, 1]
    assert aliases._history(client_of(tags={}), "tiny", "nfe4") == []
