"""The certificate of a candidate, on paths that chose nothing."""

from typing import Any

from lsd_core.backbones.protocol import Backbone
from lsd_core.candidates.results import TableResult
from lsd_core.candidates.spec import CandidateSpec


def certify(spec: CandidateSpec, which: int, learned: TableResult, backbone: Backbone) -> dict[str, Any]:
    raise NotImplementedError
