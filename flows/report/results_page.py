"""`make results`: the tables of docs/results.md and the figures of the README, written from the cards of a store.

What lies between `<!-- results: NAME -->` and `<!-- end of results -->` is generated; the rest is prose and stays.
NAME is a grid, or a grid and ` ratios` for the README's line on it. A grid without a block gets one at the end.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from flows.config import GridConfig, load_grid
from flows.pipeline.plan import make_plan
from flows.report.number_text import certificate_cell, gap_text, marked, metric_text, references_of
from flows.report.page_data import Entry, PageData, make_page_data
from flows.report.table_rows import Row
from lsd_core.errors import InputError
from lsd_core.numerics.number_text import entropy_text, ratio_text, short
from lsd_core.statistics.promotion import Verdict
from lsd_core.storage.store import Store

ROOT = Path(__file__).parents[2]
END = "<!-- end of results -->"


def grid_pages(store: Store, config: GridConfig) -> list[PageData]:
    """The measured candidates of a grid, a page a backbone; InputError where the store has no card of one."""
    present, pages = set(store.list("cells")), []
    plan = make_plan(config, store)
    for backbone in plan.backbones:
        specs = [
            spec
            for spec in plan.candidates
            if spec.backbone.fingerprint == backbone.fingerprint and f"{spec.folder}/card.json" in present
        ]
        if not specs:
            remedy = f"run `lsd grid {config.name}` first"
            raise InputError("store", f"hold cards of {config.name} for {backbone.name}", store.url, remedy)
        pages.append(make_page_data(store, specs, sizes=config.sizes))
    return pages


def block(config: GridConfig, command: str, pages: Sequence[PageData], revision: str) -> str:
    """A grid's tables as Markdown: the command, the sizes, the code they were written by, a row a sampler."""
    sizes = config.evaluation
    lines = [
        f"`{command}`: {sizes.samples} samples x {sizes.seeds} fresh seeds, temperatures "
        f"{', '.join(f'{each:g}' for each in sizes.temperatures)}; written at revision {revision}.",
        "Intervals are 95%; bounds are estimates with their standard error, in nats; bold rows hold an alias.",
    ]
    lines += [config.sizes] if config.sizes else []
    for page in pages:
        lines += ["", f"**{page.backbone}**", "", *_table(page), "", *_orders(page), *_verdicts(page)]
    return "\n".join(lines)


def ratios(config: GridConfig, pages: Sequence[PageData]) -> str:
    """For the README: what holds each budget, as a share of plain steps' errors; a line a backbone."""
    lines = []
    for page in pages:
        clauses = [
            f"{ratio} at {nfe} calls ({champion.row.label})"
            for nfe in page.budgets
            if (champion := page.champion(nfe)) is not None and (ratio := _ratio(page, champion))
        ]
        lines.append(f"- `{page.backbone}`, {page.task.primary} over plain steps': {', '.join(clauses)}")
    return "\n".join(lines)


def _table(page: PageData) -> Iterator[str]:
    primary = page.task.primary
    references = references_of(page.rows)
    yield f"| NFE | method | steps in | {primary} | {page.task.diversity} | bound | {primary} / plain |"
    yield "|---|---|---|---|---|---|---|"
    for entry in page.entries:
        row = entry.row
        held = f" ({', '.join(row.aliases)})" if row.aliases else ""
        name = f"**{row.label}**{held}" if row.aliases else row.label
        yield _line(
            row, name, metric_text(row.primary), certificate_cell(row, references), _ratio(page, entry)
        )
    if (teacher := page.teacher) is not None:
        name = f"teacher, {page.teacher_name}"
        yield f"| {teacher.nfe} | {name} | | {short(teacher.mean)} | {entropy_text(teacher.entropy)} | | |"
    for row in page.one_by_one:
        yield _line(row, row.label, metric_text(row.primary), "", "")
    yield ""
    for mark, name in marked(references):
        yield f"Bounds{f' marked {mark}' if mark else ''} are from {name}."


def _line(row: Row, name: str, primary: str, bound: str, ratio: str) -> str:
    cells = (str(row.nfe), name, row.steps_in, primary, entropy_text(row.entropy), bound, ratio)
    return f"| {' | '.join(cells)} |"


def _orders(page: PageData) -> Iterator[str]:
    """How far each order's own distribution, to which bounds along it are, is from the uniform one."""
    yield from (f"- {gap}" for row in page.one_by_one if (gap := gap_text(row)))


def _verdicts(page: PageData) -> Iterator[str]:
    """Who holds each budget; where a control does, also why the learned sampler of the least error does not."""
    for alias, verdict in page.verdicts.items():
        yield f"- `{alias}`: {verdict.sentence}{'' if verdict.won else _refusal(page, alias, verdict)}"


def _refusal(page: PageData, alias: str, verdict: Verdict) -> str:
    tried = {each.candidate for each in verdict.comparisons}
    entries = page.at(int(alias.removeprefix("nfe")))  # best first
    nearest = next((name for entry in entries for name in entry.row.candidates if name in tried), None)
    lost = [each.sentence for each in verdict.comparisons if each.candidate == nearest and not each.wins]
    lost += [each.sentence for each in verdict.guarded if each.candidate == nearest and not each.passes]
    more = f" ({len(lost) - 1} more)" if len(lost) > 1 else ""
    return f" Of the learned ones with the least error: {lost[0]}{more}" if lost else ""


def _ratio(page: PageData, entry: Entry) -> str:
    plain = page.baseline(entry.spec.nfe)
    return "" if plain is None else ratio_text(entry.row.mean, plain.row.mean)


def put(text: str, name: str, content: str) -> str:
    """The page with a block's content replaced; a new block stands at the end."""
    begin = f"<!-- results: {name} -->"
    whole = f"{begin}\n{content}\n{END}"
    if begin not in text:
        return f"{text.rstrip()}\n\n## {name}\n\n{whole}\n"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(END), re.DOTALL)
    return pattern.sub(lambda _: whole, text, count=1)


def revision() -> str:
    """The commit of this code, marked where files differ from it."""
    found = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


def write(store: Store, grids: Sequence[str], page: Path, readme: Path) -> None:
    """Both files, from the cards of these grids: tables on the page, ratios where the README has a place."""
    text, front = page.read_text(), readme.read_text()
    for grid in grids:
        config = load_grid(grid)
        pages = grid_pages(store, config)
        text = put(text, config.name, block(config, f"lsd grid {grid}", pages, revision()))
        said = ratios(config, pages)
        if f"<!-- results: {config.name} ratios -->" in front:
            front = put(front, f"{config.name} ratios", said)
            text = put(text, f"{config.name} ratios", said)
    page.write_text(text)
    readme.write_text(front)


def main(arguments: Sequence[str]) -> int:
    """Exit 2 and one line where the store lacks the cards."""
    parser = argparse.ArgumentParser(description="Write docs/results.md and the README's figures from cards.")
    parser.add_argument("store", help="folder or URL")
    parser.add_argument("grids", nargs="+", help="names or YAML files of grids whose cards the store holds")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results.md")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    given = parser.parse_args(arguments)
    try:
        write(Store(given.store), given.grids, given.page, given.readme)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
