"""The certificate of a candidate, on paths that chose nothing."""

from collections.abc import Callable
from typing import Any

from lsd_core.backbones.protocol import Backbone
from lsd_core.candidates.spec import CandidateSpec
from lsd_core.canonical import derive_seed
from lsd_core.distillation.learned import Learned
from lsd_core.evaluation import certificates
from lsd_core.samplers import SAMPLERS

KINDS: dict[str, Callable[..., certificates.Certificate]] = {
    "reverse": certificates.reverse,
    "forward_swapped": certificates.forward_swapped,
}


def certifiable(spec: CandidateSpec) -> bool:
    """Whether the reverse certificate applies: paths are wanted, and a step looks at the network once."""
    return spec.evaluation.certificate_paths > 0 and SAMPLERS[spec.sampler].calls_per_step == 1


def certify(
    spec: CandidateSpec, which: int, learned: Learned, backbone: Backbone, kind: str = "reverse"
) -> dict[str, Any]:
    """A certificate of a table: a bound in nats on the divergence from, or to, the network's own law."""
    certificate = KINDS[kind](
        backbone,
        spec.sampler,
        learned.table,
        num_paths=spec.evaluation.certificate_paths,
        seed=derive_seed("certificate", spec.seed, which),
        batch=spec.evaluation.batch,
    )
    return certificate.to_dict()
