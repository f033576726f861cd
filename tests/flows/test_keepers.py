"""Which control keeps an alias where nothing learned wins: the least error among those as diverse as plain steps."""

import numpy as np
import pytest

from flows.pipeline.standings import least_entropy
from lsd_core.statistics.promotion import promote
from lsd_core.statistics.scored import Scored


def plain(sampler: str, error: float, entropy: float, method: str = "plain") -> Scored:
    values = np.full((2, 4), error)
    return Scored(
        method=method,
        sampler=sampler,
        nfe=8,
        selection=values,
        report=values,
        entropy=entropy,
        temperature=1.0,
        key=f"{method} {sampler}",
    )


def holder(*keepers: Scored) -> str:
    families = {each.key: [each] for each in keepers}
    return promote([], families, keepers=keepers, reference_entropy=least_entropy(keepers)).key


@pytest.mark.parametrize(("entropy", "key"), [(2.43, "plain halton"), (3.05, "plain confidence_drawn")])
def test_choosing_by_the_drawn_token_takes_no_alias_by_its_cooling(entropy: float, key: str) -> None:
    drawn = plain("confidence_drawn", 2.4, entropy)
    assert holder(plain("halton", 3.2, 3.07), plain("confidence", 3.6, 3.06), drawn) == key
    assert holder(drawn) == "plain confidence_drawn"  # in cells of its own


def test_what_chooses_before_the_draw_says_how_diverse_a_control_must_be() -> None:
    keepers = [plain("halton", 3.2, 3.07), plain("confidence", 3.0, 2.9), plain("euler", 2.9, 2.8, "cosine")]
    assert least_entropy(keepers) == 2.9
    assert holder(*keepers) == "plain confidence"
    assert least_entropy([plain("euler", 1.0, 1.0, "cosine")]) is None
