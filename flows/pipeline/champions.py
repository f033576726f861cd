"""Champions as the store remembers them, and the registry rebuilt from the store (`lsd register`)."""

from collections.abc import Mapping

from rich.console import Console

from flows.pipeline.progress import progress_on
from flows.settings import Settings
from lsd_core import registry
from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError
from lsd_core.storage.store import Store


def champions_key(backbone: str, fingerprint: str) -> str:
    """Where the store remembers who holds a backbone's aliases."""
    return f"champions/{backbone}-{fingerprint[:12]}.json"


def remember_champions(store: Store, backbone: str, fingerprint: str, champions: Mapping[str, str]) -> None:
    """Record alias -> sha256 of the champion's card, beside aliases of other budgets."""
    key = champions_key(backbone, fingerprint)
    known = store.read_json(key)["champions"] if store.exists(key) else {}
    record = {"backbone": backbone, "fingerprint": fingerprint, "champions": {**known, **champions}}
    if known != record["champions"]:
        store.write_json(key, record)


def rebuild_registry(settings: Settings, console: Console) -> tuple[int, int]:
    """File every card of the store and give every alias to its champion; returns how many of each."""
    store = Store(settings.store)
    store.check(writable=False)
    keys = [key for key in store.list("cells") if key.endswith("/card.json")]
    if not keys:
        raise InputError("store", "hold sampler cards", settings.store, "run `lsd grid` first")
    uris: dict[str, str] = {}
    with progress_on(console).phase("register", len(keys), "cards") as advance:
        for key in keys:
            card = SamplerCard.from_json(store.read_bytes(key).decode(), source=store.locate(key))
            uri = registry.register(card, tracking_uri=settings.tracking_uri, store_url=settings.store)
            uris[card.sha256] = uri
            advance(1)
    moved = 0
    for key in store.list("champions"):
        record = store.read_json(key)
        held = {alias: uris[sha] for alias, sha in record["champions"].items() if sha in uris}
        versions = {alias: uri.rsplit("/", 1)[1] for alias, uri in held.items()}
        if versions:
            registry.set_champions(
                record["backbone"], record["fingerprint"], versions, tracking_uri=settings.tracking_uri
            )
        moved += len(versions)
    return len(keys), moved
