"""MLflow's own screens of a registry, against a real server, in Chromium: what a person reads who browses there."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from websockets.sync.client import connect

from flows.report.html_page import write
from flows.report.page_data import PageData
from flows.report.samplers_table import in_words
from lsd_core import registry
from lsd_core.registry.model_page import END, charts_of
from tests.flows.report.browser import CONNECT, Browser, Chromium
from tests.lsd_core.conftest import make_card, tiny_backbone  # noqa: F401
from tests.lsd_core.registry.helpers import at_nfe

pytestmark = pytest.mark.servers
NAME = "shown-in-mlflow"
TABLES = """[...document.querySelectorAll('table')].map(
  t => [...t.rows].map(r => [...r.cells].map(c => c.innerText.trim())))"""
TEXT = "document.body?.innerText ?? ''"
CHARTS = """[...document.querySelectorAll('.js-plotly-plot')].flatMap(
  p => (p.data ?? []).filter(d => d.x?.length).map(d => [d.name, [...d.x], [...d.y]]))"""
OWN = re.compile(r"AG Grid|/ajax-api/|/static-files/")
"""Complaints of MLflow's own screens: its table library, its requests for features that this server does not have."""


@pytest.fixture
def server(served_registry: str, make_card: Any, tiny_backbone: Any) -> str:  # noqa: F811
    """A method at two budgets and a control, the better ones champions; a registered card keeps its version."""
    fingerprint = tiny_backbone.fingerprint
    backbone = {"name": NAME, "fingerprint": fingerprint, "family": "markov"}
    certificate = {"value_nats": 0.0326, "standard_error": 0.004, "num_paths": 64, "reference": "one by one"}
    for nfe, method, error in ((2, "lsd", 0.0625), (2, "plain", 0.125), (4, "lsd", 0.03125)):
        card = make_card(
            error=error, entropy=1.2, method=method, backbone=backbone, certificate=certificate, **at_nfe(nfe)
        )
        registry.register(card, tracking_uri=served_registry)
    champions = {"nfe2": 1, "nfe2-euler": 1, "nfe4": 3, "nfe4-euler": 3}
    registry.set_champions(NAME, fingerprint, champions, tracking_uri=served_registry)
    return served_registry


@pytest.fixture(scope="module")
def tab(chromium: Chromium) -> Iterator[Browser]:
    """A browser whose owner has closed the assistant that MLflow opens at a first visit."""
    with chromium.tab() as found:
        found.ask("Page.enable")
        for key, value in {"fab.autoOpenedOnFirstLoad_v1": "true", "panelOpen_v1": "false"}.items():
            kept = f"localStorage.setItem('mlflow.assistant.{key}', '{value}')"
            found.ask("Page.addScriptToEvaluateOnNewDocument", source=kept)
        yield found


def until(look: Callable[[], Any], what: str, wait_s: float = 60) -> Any:
    """What a function returns, once that is something."""
    deadline = time.monotonic() + wait_s
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {wait_s:g} s for {what}")
        time.sleep(0.1)
    return found


def visit(tab: Browser, address: str, text: str) -> str:
    """The text of a page, once a certain text is in it; nothing of ours complains, nothing comes from elsewhere."""
    tab.open(address, 1440)
    shown = until(lambda: text in (all_of_it := tab.value(TEXT)) and all_of_it, f"{text!r} at {address}")
    assert [complaint for complaint in tab.complaints if not OWN.search(complaint)] == []
    own = (address.partition("#")[0], "data:", "blob:")
    assert [url for url in tab.requests if not url.startswith(own)] == []
    return str(shown)


def table_with(tab: Browser, column: str) -> list[list[str]]:
    """The cells of the table with this column."""
    [found] = [table for table in tab.value(TABLES) if table and column in table[0]]
    return found


def frames(chromium: Chromium) -> list[str]:
    """The text of each frame of the tab; MLflow shows HTML in one that may run scripts and reach nothing else."""
    texts = []
    for address in chromium.frames():
        with connect(address, **CONNECT) as socket:
            texts.append(str(Browser(socket).value(TEXT)))
    return texts


def test_a_model_and_its_versions_say_the_numbers_of_samplers_and_pick(server: str, tab: Browser) -> None:
    versions = {row["version"]: row for row in registry.list_versions(NAME, tracking_uri=server)}
    text = visit(tab, f"{server}/#/models/{NAME}", "base sampler")
    assert f'load_sampler("models:/{NAME}@nfe2")' in text
    header, *champions = table_with(tab, "alias")
    assert header[:5] == ["alias", "version", "calls", "base sampler", "method"]
    assert [row[0] for row in champions] == ["nfe2", "nfe2-euler", "nfe4", "nfe4-euler"]
    for alias, version, calls, sampler, method, error, entropy, nats in champions:
        row = versions[int(version)]
        assert alias in row["aliases"]
        numbers = f"error {error}, unigram_entropy {entropy} nat, {nats} nat"
        assert f"{method} ({sampler}) at {calls} calls: {numbers}" in in_words(row)
    best = registry.pick(NAME, max_nfe=8, tracking_uri=server)
    assert champions[2][1] == str(best["version"]) == "3"

    link = tab.value(
        "[...document.querySelectorAll('td a')].find(a => a.innerText === '3').getAttribute('href')"
    )
    text = visit(tab, f"{server}/{link}", "proved, the value with two standard errors")
    assert "error 0.03125 at 4 calls: lsd (euler), unigram_entropy 1.200 nat." in text
    assert f'load_sampler("models:/{NAME}/3")' in text
    until(lambda: "nfe4-euler" in tab.value(TEXT), "the aliases of version 3")
    assert {row[0]: row[1] for row in table_with(tab, "report")}["error"] == "0.03125 (0.2 to 0.3)"


def test_a_logged_model_has_metrics_a_description_and_its_version(server: str, tab: Browser) -> None:
    client = MlflowClient(server, server)
    run = client.get_run(client.get_model_version(NAME, "3").run_id)
    [model] = run.outputs.model_outputs
    address = f"{server}/#/experiments/{run.info.experiment_id}/models/{model.model_id}"
    text = visit(tab, address, "certificate_value_nats")
    assert f"Registered as models:/{NAME}/3" in text
    assert "Not registered" not in text
    assert re.search(r"\berror\b[^.]*0\.03125\b", text)


def test_metrics_are_lines_over_network_calls(server: str, tab: Browser) -> None:
    experiment = MlflowClient(server, server).get_experiment_by_name(NAME).experiment_id
    text = visit(tab, f"{server}/{charts_of(experiment, 'error')}", "euler plain")
    assert text.index("euler lsd") < text.index(
        "euler plain"
    )  # lower error first, though it was logged first
    lines = (["euler lsd", [2, 4], [0.0625, 0.03125]], ["euler plain", [2], [0.125]])

    def drawn() -> bool:
        found = tab.value(CHARTS)
        return all(line in found for line in lines)

    until(drawn, f"{lines} in {tab.value(CHARTS)}")


def test_a_report_renders_as_an_artifact(
    server: str, tab: Browser, chromium: Chromium, published: PageData, tmp_path: Path
) -> None:
    files = write(published, tmp_path).all
    _, page = registry.log_report(NAME, files, title=f"report of {NAME}", tracking_uri=server)
    visit(tab, str(page), files[0].name)
    [text] = until(lambda: [each for each in frames(chromium) if "What to use" in each], "the report")
    assert published.backbone in text


def test_the_description_keeps_what_a_person_wrote(server: str) -> None:
    client = MlflowClient(server, server)
    client.update_registered_model(
        NAME, client.get_registered_model(NAME).description + "\nAsk before use.\n"
    )
    registry.promote(NAME, "nfe2", 2, tracking_uri=server)
    moved = client.get_registered_model(NAME).description
    assert "| nfe2 | [2]" in moved
    assert moved.partition(END)[2].strip() == "Ask before use."
    client.update_registered_model(NAME, "Our own words.")
    registry.rollback(NAME, "nfe2", tracking_uri=server)
    back = client.get_registered_model(NAME).description
    assert "| nfe2 | [1]" in back
    assert back.partition(END)[2].strip() == "Our own words."
    assert charts_of(client.get_experiment_by_name(NAME).experiment_id, "error") in back
