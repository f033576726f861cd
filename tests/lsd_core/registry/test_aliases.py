"""Aliases move only to what they may mean, and back again."""

import pytest
from mlflow import MlflowClient

from lsd_core import registry
from lsd_core.errors import InputError
from tests.lsd_core.registry.helpers import aliases


def test_champions_move_and_can_be_rolled_back_exactly(uri, make):
    card = make()
    fingerprint, name = card.backbone.fingerprint, make.name
    for error in (0.25, 0.2, 0.15):
        registry.register(make(error=error), tracking_uri=uri)
    assert registry.set_champions(name, fingerprint, {"nfe2": 1, "nfe2-euler": 1}, tracking_uri=uri) == {
        "nfe2": None,
        "nfe2-euler": None,
    }
    assert registry.set_champions(name, fingerprint, {"nfe2": 1}, tracking_uri=uri) == {}  # again: no move
    assert registry.set_champions(name, fingerprint, {"nfe2": 2}, tracking_uri=uri) == {"nfe2": 1}
    assert registry.promote(name, "nfe2", 3, tracking_uri=uri) == 2
    assert aliases(name, uri) == {"nfe2": 3, "nfe2-euler": 1}
    assert registry.resolve(f"models:/{name}@nfe2", tracking_uri=uri).card.primary.mean == 0.15
    assert registry.rollback(name, "nfe2", tracking_uri=uri) == 2
    assert registry.rollback(name, "nfe2", tracking_uri=uri) == 1
    with pytest.raises(
        InputError, match=r"alias nfe2 of .* must have had an earlier holder, got version 1 only"
    ):
        registry.rollback(name, "nfe2", tracking_uri=uri)
    assert registry.resolve(f"models:/{name}@nfe2", tracking_uri=uri).uri == f"models:/{name}/1"


def test_however_many_aliases_move_the_versions_are_listed_as_often(sqlite_registry, make, monkeypatch):
    name, uri, fingerprint = make.name, sqlite_registry, make().backbone.fingerprint
    registry.register(make(), tracking_uri=uri)
    listed, list_them = [], MlflowClient.search_model_versions

    def counted(client, *args, **kwargs):
        listed.append(args)
        return list_them(client, *args, **kwargs)

    monkeypatch.setattr(MlflowClient, "search_model_versions", counted)
    registry.set_champions(name, fingerprint, {"nfe2": 1}, tracking_uri=uri)
    once = len(listed)
    registry.set_champions(name, fingerprint, {"nfe2": 1, "nfe2-euler": 1}, tracking_uri=uri)
    assert len(listed) == 2 * once
    assert aliases(name, uri) == {"nfe2": 1, "nfe2-euler": 1}


def test_a_move_cut_short_loses_no_name(sqlite_registry, make, monkeypatch):
    name, uri = make.name, sqlite_registry
    for error in (0.25, 0.2, 0.15):
        registry.register(make(error=error), tracking_uri=uri)
    registry.promote(name, "nfe2", 1, tracking_uri=uri)
    registry.promote(name, "nfe2", 2, tracking_uri=uri)

    def fail(*args, **kwargs):
        raise RuntimeError("killed")

    for cut in (lambda: registry.promote(name, "nfe2", 3, tracking_uri=uri),) * 2:
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "set_registered_model_alias", fail)
            with pytest.raises(RuntimeError, match="killed"):
                cut()
    assert registry.resolve(f"models:/{name}@nfe2", tracking_uri=uri).uri.endswith("/2")
    assert registry.rollback(name, "nfe2", tracking_uri=uri) == 1


def test_aliases_move_only_within_the_current_fingerprint(sqlite_registry, make):
    uri = sqlite_registry
    name, old, new = make.name, "0" * 64, "1" * 64
    registry.register(make(old), tracking_uri=uri)
    registry.register(make(new), tracking_uri=uri)
    registry.set_champions(name, old, {"nfe2": 1}, tracking_uri=uri)
    with pytest.raises(InputError, match=f"fingerprint of version 2 of .* must be {old}, got {new}"):
        registry.promote(name, "nfe2", 2, tracking_uri=uri)
    with pytest.raises(InputError, match=f"must be {new}, got {old}"):
        registry.set_champions(name, new, {"nfe2": 2, "nfe2-euler": 1}, tracking_uri=uri)
    assert aliases(name, uri) == {"nfe2": 1}  # none moved
    registry.set_champions(name, new, {"nfe2": 2}, tracking_uri=uri)
    with pytest.raises(InputError, match=f"fingerprint of version 1 of .* must be {new}, got {old}"):
        registry.rollback(name, "nfe2", tracking_uri=uri)


@pytest.mark.parametrize(
    ("alias", "version", "message"),
    [
        ("nfe4", 1, "version 1 of {} must have nfe 4 to hold nfe4, got 2"),
        ("nfe2-tweedie", 1, "version 1 of {} must have sampler tweedie to hold nfe2-tweedie, got euler"),
        ("best", 1, "alias must be nfe<N> or nfe<N>-<sampler>, such as nfe8 or nfe8-euler, got best"),
        ("nfe2", 7, "version of {} must be one of 1, got 7"),
        ("nfe2", "one", "version of {} must be one of 1, got one"),
    ],
)
def test_an_alias_means_what_it_says(sqlite_registry, make, alias, version, message):
    registry.register(make(), tracking_uri=sqlite_registry)
    with pytest.raises(InputError) as caught:
        registry.promote(make.name, alias, version, tracking_uri=sqlite_registry)
    assert message.format(make.name) in str(caught.value)
    assert aliases(make.name, sqlite_registry) == {}
