"""Registries to test against: sqlite in this process, and the session's real server on the loopback."""

import pytest


@pytest.fixture(scope="session")
def sqlite_registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database in a folder whose name has a space."""
    return f"sqlite:///{tmp_path_factory.mktemp('a registry') / 'mlflow.db'}"


@pytest.fixture(params=["sqlite", pytest.param("server", marks=pytest.mark.servers)])
def uri(request: pytest.FixtureRequest) -> str:
    """Each registry in turn."""
    return request.getfixturevalue({"sqlite": "sqlite_registry", "server": "served_registry"}[request.param])


@pytest.fixture
def make(request, make_card, tiny_backbone):
    """Cards for a backbone named after the test, so that tests share a registry and nothing in it."""
    name = request.node.originalname.replace("_", "-")

    def named(fingerprint: str = tiny_backbone.fingerprint, **changes):
        backbone = {"name": name, "fingerprint": fingerprint, "family": "markov"}
        return make_card(backbone=backbone, **changes)

    named.name = name
    return named
