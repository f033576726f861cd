"""Batches stepped together are, to the bit, what each is alone."""

import pytest
from torch import Tensor

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.protocol import Backbone
from lsd_core.samplers import grouped
from lsd_core.samplers.grouped import batches_at_once
from lsd_core.samplers.loop import generate
from lsd_core.samplers.table import StepTable, uniform_times

TABLES = {
    "times": uniform_times(6),
    "gained": uniform_times(6).with_gains(2.0),
    "counts": StepTable(counts=(64, 61, 50, 30, 12, 0), gains=(1.0, 2.0, 4.0, 1.5, 1.0)),
    "early": StepTable(times=(1.0, 0.999, 0.998, 0.5, 0.0)),  # chains that reveal nothing keep their features
}


class Watched:
    """A backbone that notes the batches it is shown."""

    def __init__(self, backbone: Backbone) -> None:
        self.inner, self.shown = backbone, []

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        self.shown.append(len(x))
        return self.inner.features(x, t)

    def head(self, rows: Tensor) -> Tensor:
        return self.inner.head(rows)


@pytest.mark.parametrize("sampler", ["euler", "tweedie"])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", ["countdown", "countdown-radd"])
def test_a_group_draws_what_its_batches_draw(
    name: str, table: str, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = Watched(load_backbone(name))
    assert batches_at_once(backbone, 5, "cpu") > 4
    together = generate(backbone, sampler, TABLES[table], 18, seed=3, first=1, batch=5)
    seen = sorted(backbone.shown)
    monkeypatch.setattr(grouped, "POSITIONS_AT_ONCE", 1)
    backbone.shown.clear()
    alone = generate(backbone, sampler, TABLES[table], 18, seed=3, first=1, batch=5)
    assert together.tokens.equal(alone.tokens)
    assert together.calls.equal(alone.calls)
    assert seen == sorted(backbone.shown)
    assert max(seen) == 5


def test_groups_only_what_is_small() -> None:
    backbone = load_backbone("countdown")
    assert batches_at_once(backbone, 16, "cpu") == 4
    assert batches_at_once(backbone, 64, "cpu") == 1
    assert batches_at_once(backbone, 16, "cuda") == 1
