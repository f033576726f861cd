"""Champions recorded on the store, and the registry rebuilt from the store (`lsd register`)."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from flows.pipeline.progress import progress_on
from flows.settings import Settings
from lsd_core import registry
from lsd_core.candidates.reading import read_card
from lsd_core.errors import InputError, MissingFileError, Unreachable
from lsd_core.numerics.canonical import canonical_json
from lsd_core.numerics.names import BACKBONE, FINGERPRINT
from lsd_core.numerics.plain_text import parse_json
from lsd_core.storage.sealed import REMEDY, read_sealed, seal, unseal
from lsd_core.storage.store import Store
from lsd_core.storage.update import update


def champions_key(backbone: str, fingerprint: str) -> str:
    """Where the store remembers who holds a backbone's aliases."""
    return f"champions/{backbone}-{fingerprint[:12]}.json"


def read_champions(store: Store, key: str) -> dict[str, str]:
    """Alias -> sha256 of the champion's card; none if there is no such file. InputError for a damaged one."""
    try:
        return _champions_of(read_sealed(store, key), store.locate(key))
    except MissingFileError:
        return {}


def remember_champions(
    store: Store,
    backbone: str,
    fingerprint: str,
    champions: Mapping[str, str],
    otherwise: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Record alias -> sha256 of the champion's card, beside aliases of other budgets.

    A damaged record is replaced by what `otherwise` says of those.
    """
    key = champions_key(backbone, fingerprint)

    def added(data: bytes | None) -> bytes:
        known: dict[str, str] = {}
        if data is not None:
            try:
                known = _champions_of(unseal(parse_json(data, key), key), key)
                if {**known, **champions} == known:
                    return data
            except InputError:
                known = dict(otherwise())
        record = {"backbone": backbone, "fingerprint": fingerprint, "champions": {**known, **champions}}
        return canonical_json(seal(record)).encode()

    update(store, key, added)


def registered_champions(backbone: str, fingerprint: str, tracking_uri: str) -> dict[str, str]:
    """The same as the registry knows it."""
    rows = registry.list_versions(backbone, tracking_uri=tracking_uri)
    mine = (row for row in rows if row["fingerprint"] == fingerprint)
    return {alias: row["card_sha256"] for row in mine for alias in row["aliases"]}


def _champions_of(record: Mapping[str, Any], source: str) -> dict[str, str]:
    held = record.get("champions")
    if not isinstance(held, dict) or not all(FINGERPRINT.fits(sha) for sha in held.values()):
        raise InputError(source, "be a record of champions", held, REMEDY)
    return held


def rebuild_registry(settings: Settings, console: Console) -> tuple[int, int, list[str]]:
    """Register every card of the store and give every alias to its champion.

    Returns how many of each, and a line for every file that cannot be read; the others do not wait for it.
    """
    store = Store(settings.store)
    store.check(writable=False)
    keys = [key for key in store.list("cells") if key.endswith("/card.json")]
    if not keys:
        raise InputError("store", "hold sampler cards", settings.store, "run `lsd grid` first")
    registry.check(settings.tracking_uri)
    uris: dict[str, str] = {}
    problems: list[str] = []
    with progress_on(console).phase("register", len(keys), "cards") as advance:
        for key in keys:
            advance(1)
            try:
                card = read_card(store, key)
                uri = registry.register(card, tracking_uri=settings.tracking_uri, store_url=settings.store)
                uris[card.sha256] = uri
            except Unreachable:
                raise
            except InputError as error:
                problems.append(str(error))
    moved = 0
    for key in store.list("champions"):
        try:
            record = read_sealed(store, key)
            backbone = BACKBONE.check(key, record.get("backbone"))
            fingerprint = FINGERPRINT.check(key, record.get("fingerprint"))
            named = _champions_of(record, key)
            held = {alias: uris[sha] for alias, sha in named.items() if sha in uris}
            versions = {alias: uri.rsplit("/", 1)[1] for alias, uri in held.items()}
            if versions:
                registry.set_champions(backbone, fingerprint, versions, tracking_uri=settings.tracking_uri)
        except Unreachable:
            raise
        except InputError as error:
            problems.append(f"{store.locate(key)}: {error}")
        else:
            moved += len(versions)
    return len(uris), moved, problems
