"""The candidates of a backbone on the store that were measured alike, so that they can be compared."""

import logging
from dataclasses import replace

from flows.pipeline.champions import champions_key, read_champions
from flows.pipeline.standings import place
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.reading import read_card, read_spec
from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError, Unreachable
from lsd_core.numerics.canonical import canonical_json
from lsd_core.storage.damage import unless_damaged
from lsd_core.storage.store import Store


def specs_on(store: Store, backbone: str) -> tuple[list[CandidateSpec], int]:
    """The candidates of a backbone's current weights on the store that were measured alike, and how many were not.

    Of several evaluations one is shown, since only equal samples and seeds compare: of those with a champion the one
    with the most samples. A run that was interrupted has named none.
    """
    folders: dict[str, set[str]] = {}
    for folder, slash, file in (key.removeprefix("cells/").partition("/") for key in store.list("cells")):
        if slash:
            folders.setdefault(folder, set()).add(file)
    cards: dict[str, SamplerCard] = {}
    for folder, files in folders.items():
        if "card.json" in files:
            key = f"cells/{folder}/card.json"
            try:
                cards[folder] = read_card(store, key)
            except Unreachable:
                raise
            except InputError as error:  # the others need not wait for it
                logging.getLogger("lsd").warning("left out: %s", error)
    known = sorted({card.backbone.name for card in cards.values()})
    if backbone not in known:
        remedy = f"run `lsd grid` for it; the store is {store.url}"
        raise InputError(
            "backbone", f"be one of those on the store: {', '.join(known) or 'none'}", backbone, remedy
        )
    mine = {folder: card for folder, card in cards.items() if card.backbone.name == backbone}
    current = _current_fingerprint(store, backbone, {card.backbone.fingerprint for card in mine.values()})
    works = [
        read_spec(store, f"cells/{folder}/table-0.json")
        for folder, card in mine.items()
        if "table-0.json" in folders[folder] and card.backbone.fingerprint == current
    ]
    samplers = {card.sampler for card in mine.values()}
    specs = [
        spec
        for work in works
        for spec in [work, *(replace(work, sampler=name) for name in sorted(samplers - {work.sampler}))]
        if spec.key in mine and spec.work.key == work.key
    ]
    if not specs:
        raise InputError(
            f"samplers of {backbone}", "have their tables on the store", store.url, "run `lsd grid` again"
        )
    groups: dict[tuple[object, ...], list[CandidateSpec]] = {}
    for spec in specs:
        groups.setdefault(_alike(spec), []).append(spec)
    champions = _champions(store, backbone, current)

    def rank(group: list[CandidateSpec]) -> tuple[bool, int, int]:
        sizes = group[0].evaluation
        named = any(mine[spec.key].sha256 in champions for spec in group)
        return named, sizes.samples * sizes.seeds, len(group)

    chosen = max(groups.values(), key=rank)
    return sorted(chosen, key=place), len(mine) - len(chosen)


def _alike(spec: CandidateSpec) -> tuple[object, ...]:
    """What must be equal for two candidates' samples to be paired."""
    evaluation = spec.evaluation
    given = canonical_json(evaluation.conditions)
    return (
        evaluation.task,
        evaluation.samples,
        evaluation.selection_samples,
        evaluation.seeds,
        spec.seed,
        given,
    )


def _champions(store: Store, backbone: str, fingerprint: str) -> set[str]:
    """sha256 of the cards that hold an alias; none where the record is damaged, which `lsd verify` names."""
    key = champions_key(backbone, fingerprint)
    return set(unless_damaged(lambda: read_champions(store, key), dict[str, str]()).values())


def _current_fingerprint(store: Store, backbone: str, known: set[str]) -> str:
    """The weights for which champions were named last; else whichever there are."""
    kept = [found for found in known if store.exists(champions_key(backbone, found))]
    return max(kept or sorted(known), key=lambda found: _named_at(store, champions_key(backbone, found)))


def _named_at(store: Store, key: str) -> float:
    return store.modified(key) if store.exists(key) else 0.0
