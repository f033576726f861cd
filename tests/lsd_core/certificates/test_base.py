"""A certificate is JSON, whatever its estimate is."""

import json

import pytest
import torch

from lsd_core.certificates.base import Certificate
from lsd_core.distillation.lsd import LSDConfig
from lsd_core.errors import InputError


def test_an_infinite_estimate_proves_nothing_and_can_be_stored():
    found = Certificate.of("reverse", "KL", "the network", torch.tensor([1.0, float("inf")]), 2).to_dict()
    assert found["value_nats"] is None
    assert found["standard_error"] is None
    json.dumps(found, allow_nan=False)
    finite = Certificate.of("reverse", "KL", "the network", torch.tensor([1.0, 3.0]), 2).to_dict()
    assert finite["value_nats"] == 2.0


def test_gains_on_log_scores_take_rows_masked_in_both():
    with pytest.raises(InputError, match="rows must be 'both' with gain_on 'log_score'"):
        LSDConfig(gain_on="log_score", rows="all")
    assert LSDConfig(gain_on="score", rows="all").rows == "all"
