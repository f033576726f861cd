"""Commands that keep the store and the registry in order."""

from flows.cli.shared import Registry, Store, Whole, app, care, console

WEEK_HOURS = 7 * 24.0  # as `collect_garbage` has it, which is imported with torch when it is needed


@app.command(group=care)
def promote(backbone: str, alias: str, version: Whole, *, registry: Registry = None) -> int:
    """Point an alias, such as nfe8, at a version."""
    from lsd_core.registry import promote as move

    previous = move(backbone, alias, version, tracking_uri=registry)
    console.print(f"{backbone}@{alias}: version {previous} -> {version}", highlight=False)
    return 0


@app.command(group=care)
def rollback(backbone: str, alias: str, *, registry: Registry = None) -> int:
    """Give an alias back to its previous holder."""
    from lsd_core.registry import rollback as undo

    console.print(
        f"{backbone}@{alias}: version {undo(backbone, alias, tracking_uri=registry)}", highlight=False
    )
    return 0


@app.command(group=care)
def register(*, store: Store = None, registry: Registry = None) -> int:
    """Rebuild the registry from the store: every card a version, every champion its alias.

    A file that cannot be read is named and left out: exit 1.
    """
    from flows.pipeline.champions import rebuild_registry
    from flows.settings import resolve

    settings = resolve(command_line={"store": store, "tracking_uri": registry})
    cards, aliases, problems = rebuild_registry(settings, console)
    for problem in problems:
        console.print(f"left out: {problem}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"{cards} cards and {aliases} aliases in {settings.tracking_uri}", highlight=False)
    return 1 if problems else 0


@app.command(group=care)
def verify(url: str | None = None, *, store: Store = None) -> int:
    """Check shards against their manifests, weights against their names and cards against the files of their cells;
    exit 1 if a file is bad, and name it.

    Parameters
    ----------
    url:
        a store, or a teacher's folder in one; the usual store if left out.
    """
    from flows.settings import resolve
    from lsd_core.backbones.publish import damaged
    from lsd_core.candidates.equal_tables import damaged_hints
    from lsd_core.candidates.shared_costs import damaged_costs
    from lsd_core.candidates.verify import check_cells, damaged_champions, damaged_copies
    from lsd_core.storage.store import Store as Place
    from lsd_core.trajectories.conditions import damaged_conditions
    from lsd_core.trajectories.verify import verify as check

    place = Place(resolve(command_line={"store": url or store}).store)
    place.check(writable=False)
    cells = check_cells(place)
    problems = [
        *damaged(place).values(),
        *damaged_conditions(place).values(),
        *cells.problems.values(),
        *damaged_champions(place).values(),
        *damaged_copies(place).values(),
        *damaged_costs(place).values(),
        *damaged_hints(place).values(),
    ]
    problems += map(str, check(place))
    for problem in problems:
        console.print(problem, highlight=False, markup=False, soft_wrap=True)
    if cells.unsealed:
        words = (
            "cells without digests, written by an earlier version: their cards were compared with their files"
        )
        console.print(f"{len(cells.unsealed)} {words}", highlight=False, soft_wrap=True)
    console.print("no bad file" if not problems else f"{len(problems)} bad: run the same `lsd grid` again")
    return 1 if problems else 0


@app.command(group=care)
def gc(*, older_than_hours: float = WEEK_HOURS, dry_run: bool = False, store: Store = None) -> int:
    """Remove shards that no manifest lists, costs that no table of a cell was learned from, and hints to measurements
    that are gone.

    Parameters
    ----------
    older_than_hours:
        younger ones may be in use by a run and stay; a week if left out.
    dry_run:
        name them and remove nothing.
    """
    from flows.settings import resolve
    from lsd_core.candidates.garbage import collect
    from lsd_core.storage.store import Store as Place

    place = Place(resolve(command_line={"store": store}).store)
    found = collect(place, older_than_hours * 3600, dry_run=dry_run)
    for key in found:
        console.print(f"{'would remove' if dry_run else 'removed'} {key}", highlight=False, soft_wrap=True)
    console.print(f"{len(found)} files {'to remove' if dry_run else 'removed'}", highlight=False)
    return 0
