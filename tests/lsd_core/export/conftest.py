"""Samplers to export: a shipped network with a table of choice."""

from collections.abc import Callable

import pytest

from lsd_core.backbones.catalog import load_backbone
from lsd_core.sampler import LoadedSampler
from lsd_core.samplers.table import StepTable


@pytest.fixture
def loaded(make_card) -> Callable[[StepTable, str, str], LoadedSampler]:
    """(table, base sampler, name of the network) -> the sampler, with a card that says so."""

    def make(table: StepTable, base: str, name: str) -> LoadedSampler:
        backbone = load_backbone(name)
        card = make_card(
            backbone={"name": name, "fingerprint": backbone.fingerprint, "family": backbone.family},
            process=backbone.process.to_dict(),
            sampler=base,
            nfe=8,
            steps=table.num_steps,
            calls={"mean": table.num_steps, "max": table.num_steps},
            table=table.to_dict(),
        )
        return LoadedSampler(card, backbone)

    return make
