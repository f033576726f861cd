"""Resolve a `models:/` URI to its card, refused unless its hash is the registered one."""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lsd_core.cards import SamplerCard, text_sha256
from lsd_core.errors import InputError, Unreachable
from lsd_core.registry.card_fields import uri_of
from lsd_core.registry.connect import connect
from lsd_core.registry.lookup import aliases_of, listed, version_of
from lsd_core.registry.pyfunc import CARD_FILE
from lsd_core.storage.store import redacted


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The card behind a `models:/` URI."""

    uri: str
    """With the version number, so that it always means this card."""
    card: SamplerCard
    store_url: str | None
    """Store that holds the card's backbone, as far as the registry knows."""


def resolve(uri: str, *, tracking_uri: str | None = None) -> Resolved:
    """The card behind `models:/NAME@ALIAS` or `models:/NAME/VERSION`, refused unless its hash is the registered one."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    match = re.fullmatch(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>[^/@]+))", uri)
    if match is None:
        raise InputError("uri", "be models:/NAME@ALIAS or models:/NAME/VERSION", uri)
    client = connect(tracking_uri, reading=True)
    name, alias, number = match["name"], match["alias"], match["version"]
    aliases = aliases_of(client, name)
    if alias and alias not in aliases:
        raise InputError(f"alias of {name}", f"be one of {listed(aliases)}", alias)
    version = version_of(client, name, aliases[alias] if alias else number)
    exact = uri_of(name, version.version)
    location = client.get_model_version_download_uri(name, version.version)
    remedy = "set the credentials and install the library of that place, or register it again (lsd register)"
    with TemporaryDirectory() as folder:
        try:
            source = f"{location}/{CARD_FILE}"
            mlflow.artifacts.download_artifacts(source, dst_path=folder, tracking_uri=client.tracking_uri)
            text = Path(folder, CARD_FILE).read_bytes().decode()
        except Exception as error:  # of MLflow, or of the library that speaks to that kind of place
            said = "" if isinstance(error, MlflowException) else f": {' '.join(str(error).split())[:160]}"
            reason = f"{type(error).__name__} at {location}{said}".replace(location, redacted(location))
            kind = Unreachable if isinstance(error, ConnectionError) else InputError
            raise kind(f"card of {exact}", "be readable", reason, remedy) from None
    if text_sha256(text) != version.tags.get("card_sha256"):
        rule = f"have the sha256 it was registered with, {version.tags.get('card_sha256')}"
        raise InputError(f"card of {exact}", rule, text_sha256(text), remedy)
    card = SamplerCard.from_json(text, source=f"card of {exact}")
    return Resolved(uri=exact, card=card, store_url=version.tags.get("store"))
