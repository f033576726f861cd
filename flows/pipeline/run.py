"""The outcome of a run of a grid: cards, registry URIs and failures of its candidates, counts and times."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from flows.pipeline.plan import Plan
from flows.pipeline.site import Counts
from flows.pipeline.timing import Timing
from flows.settings import Settings
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.results import Results
from lsd_core.cards import SamplerCard
from lsd_core.storage.store import Store


@dataclass(frozen=True)
class Run:
    """Values that the steps of a flow hand on; facts that matter lie on the store."""

    plan: Plan
    settings: Settings
    store: Store
    cards: Mapping[str, SamplerCard] = field(default_factory=dict)
    """By key of the candidate."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why a candidate's work failed, by key of the work."""
    uris: Mapping[str, str] = field(default_factory=dict)
    """Registry URIs by key of the candidate."""
    counts: Counts = field(default_factory=Counts)
    timing: Timing = field(default_factory=Timing)

    def results(self, spec: CandidateSpec) -> Results:
        return Results(self.store, spec)

    def failed(self, spec: CandidateSpec) -> bool:
        return spec.work.key in self.failures

    @cached_property
    def reasons(self) -> dict[str, str]:
        """Why candidates failed, by their labels."""
        return {s.label: self.failures[s.work.key] for s in self.plan.candidates if self.failed(s)}
