"""Any name that a backbone may have is registered, found, sampled and its curve and report filed under it."""

from pathlib import Path

import pytest

from lsd_core import registry
from lsd_core.errors import InputError

NAMES = ["mols.v2-radd-64", "my model (2)", "epoch=3,step=100+", "épreuve", "n" * 128]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_dots_spaces_or_letters_of_any_script_is_registered(
    sqlite_registry, make_card, tiny_backbone, name, tmp_path: Path
):
    uri = sqlite_registry
    backbone = {"name": name, "fingerprint": tiny_backbone.fingerprint, "family": "markov"}
    card = make_card(backbone=backbone)
    assert registry.register(card, tracking_uri=uri) == f"models:/{name}/1"
    assert registry.register(card, tracking_uri=uri) == f"models:/{name}/1"
    registry.set_champions(name, tiny_backbone.fingerprint, {"nfe2": 1}, tracking_uri=uri)
    assert registry.resolve(f"models:/{name}@nfe2", tracking_uri=uri).card == card
    assert registry.pick(name, max_nfe=2, tracking_uri=uri)["uri"] == f"models:/{name}/1"
    curve = registry.begin_curve(name, card.title, key="cells/0/table-0.json", tracking_uri=uri)
    registry.end_curve(curve, "FINISHED", tracking_uri=uri)
    page = tmp_path / "page.html"
    page.write_text("<p>")
    registry.log_report(name, [page], title=f"report of {name}", tracking_uri=uri)


def test_a_name_that_no_backbone_can_have_is_refused_before_the_registry_is_asked(sqlite_registry, make):
    registry.register(make(), tracking_uri=sqlite_registry)
    for name in ("x' or name like '%", "a/b", "", "models:/x"):
        with pytest.raises(InputError, match="backbone must be"):
            registry.list_versions(name, tracking_uri=sqlite_registry)
