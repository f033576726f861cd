"""Champions recorded on the store, and the registry rebuilt from the store (`lsd register`)."""

from collections.abc import Mapping

from rich.console import Console

from flows.pipeline.progress import progress_on
from flows.settings import Settings
from lsd_core import registry
from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError, Unreachable
from lsd_core.numerics.names import FINGERPRINT
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


def rebuild_registry(settings: Settings, console: Console) -> tuple[int, int, list[str]]:
    """Register every card of the store and give every alias to its champion.

    Returns how many of each, and a line for every file that cannot be read; the others do not wait for it.
    """
    store = Store(settings.store)
    store.check(writable=False)
    keys = [key for key in store.list("cells") if key.endswith("/card.json")]
    if not keys:
        raise InputError("store", "hold sampler cards", settings.store, "run `lsd grid` first")
    uris: dict[str, str] = {}
    problems: list[str] = []
    with progress_on(console).phase("register", len(keys), "cards") as advance:
        for key in keys:
            advance(1)
            try:
                text = store.read_bytes(key).decode(errors="replace")
                card = SamplerCard.from_json(text, source=store.locate(key))
            except Unreachable:
                raise
            except (InputError, FileNotFoundError) as error:
                problems.append(str(error))
                continue
            uri = registry.register(card, tracking_uri=settings.tracking_uri, store_url=settings.store)
            uris[card.sha256] = uri
    moved = 0
    for key in store.list("champions"):
        try:
            record = store.read_json(key)
            backbone, fingerprint = (
                record["backbone"],
                FINGERPRINT.check("fingerprint", record["fingerprint"]),
            )
            held = {alias: uris[sha] for alias, sha in record["champions"].items() if sha in uris}
            versions = {alias: uri.rsplit("/", 1)[1] for alias, uri in held.items()}
            if versions:
                registry.set_champions(backbone, fingerprint, versions, tracking_uri=settings.tracking_uri)
        except Unreachable:
            raise
        except (InputError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{store.locate(key)}: {error}")
        else:
            moved += len(versions)
    return len(uris), moved, problems
