"""The certificate of a candidate, on paths that chose nothing."""

from collections.abc import Callable
from typing import Any

from lsd_core.backbones.device import computing_on, device_of
from lsd_core.backbones.protocol import AnyBackbone, is_dense
from lsd_core.candidates.spec import CandidateSpec
from lsd_core.certificates import masked as certificates
from lsd_core.certificates.base import Certificate
from lsd_core.certificates.jump import reverse_any
from lsd_core.distillation.learned import Learned
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.processes import process_from_dict
from lsd_core.samplers.catalog import certifiable as has_certificate
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.protocol import Sampler
from lsd_core.trajectories.conditions import Conditions

KINDS: dict[str, Callable[..., Certificate]] = {
    "reverse": certificates.reverse,
    "forward_swapped": certificates.forward_swapped,
}


def certifiable(spec: CandidateSpec) -> bool:
    """Whether the reverse certificate applies: paths are wanted, and it holds for the base sampler.

    Along a sampler's own choices it is derived for sequences of which nothing is given.
    """
    if spec.evaluation.conditions is not None and looks_at_tokens(spec):
        return False
    return spec.evaluation.certificate_paths > 0 and has_certificate(_sampler_of(spec))


def kinds_of(spec: CandidateSpec) -> tuple[str, ...]:
    """The certificates that hold for its base sampler; along a sampler's own choices the reverse one alone."""
    return ("reverse",) if looks_at_tokens(spec) else tuple(KINDS)


def looks_at_tokens(spec: CandidateSpec) -> bool:
    """Whether its base sampler chooses positions by the tokens."""
    return _sampler_of(spec).adaptive


def _sampler_of(spec: CandidateSpec) -> Sampler:
    return get_sampler(spec.sampler, process_from_dict(dict(spec.process)))


def certify(
    spec: CandidateSpec,
    which: int,
    learned: Learned,
    backbone: AnyBackbone,
    kind: str = "reverse",
    conditions: Conditions | None = None,
) -> dict[str, Any]:
    """A certificate of a table: a bound in nats on the divergence from, or to, the network's own distribution.

    Computed where the backbone lies, under the evaluation's `conditions`.
    """
    with computing_on(device_of(backbone)):
        return _certify(spec, which, learned, backbone, kind, conditions)


def _certify(
    spec: CandidateSpec,
    which: int,
    learned: Learned,
    backbone: AnyBackbone,
    kind: str,
    conditions: Conditions | None,
) -> dict[str, Any]:
    paths, seed = spec.evaluation.certificate_paths, derive_seed("certificate", spec.seed, which)
    if is_dense(backbone):
        if kind != "reverse":
            raise InputError("certificate", f"be reverse on the {backbone.process.kind} process", kind)
        return reverse_any(backbone, spec.sampler, learned.table, num_paths=paths, seed=seed).to_dict()
    batch = spec.evaluation.batch
    certificate = KINDS[kind](
        backbone, spec.sampler, learned.table, num_paths=paths, seed=seed, batch=batch, conditions=conditions
    )
    return certificate.to_dict()
