"""A certificate is JSON, whatever its estimate is."""

import json

import torch

from lsd_core.certificates.base import Certificate


def test_an_infinite_estimate_proves_nothing_and_can_be_stored():
    found = Certificate.of("reverse", "KL", "the network", torch.tensor([1.0, float("inf")]), 2).to_dict()
    assert found["value_nats"] is None
    assert found["standard_error"] is None
    json.dumps(found, allow_nan=False)
    finite = Certificate.of("reverse", "KL", "the network", torch.tensor([1.0, 3.0]), 2).to_dict()
    assert finite["value_nats"] == 2.0
