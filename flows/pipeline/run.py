"""One run of a grid: its plan, its places, its progress, and what became of each candidate."""

from dataclasses import dataclass, field

from flows.pipeline.candidate_seconds import Clock
from flows.pipeline.plan import Plan
from flows.pipeline.progress import Progress
from flows.pipeline.timing import Ledger
from flows.settings import Settings
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.results import Results
from lsd_core.cards import SamplerCard
from lsd_core.storage.store import Store
from lsd_core.trajectories.write import ShardRecord


@dataclass
class Run:
    """What the phases share. Facts that matter lie on the store; this only remembers them."""

    plan: Plan
    settings: Settings
    progress: Progress
    failures: dict[str, str] = field(default_factory=dict)
    """Why a candidate's work failed, by key of the work."""
    reused: dict[str, int] = field(default_factory=dict)
    """How many results of each phase were there already."""
    made: dict[str, int] = field(default_factory=dict)
    """How many were made."""
    cards: dict[str, SamplerCard] = field(default_factory=dict)
    """By key of the candidate."""
    uris: dict[str, str] = field(default_factory=dict)
    """Registry URIs by key of the candidate."""
    surveys: dict[str, dict[int, ShardRecord]] = field(default_factory=dict)
    """Shards found intact on the store, by hash of their teacher: looked at once, since that reads them all."""

    ledger: Ledger = field(default_factory=Ledger)
    """Where the time went."""
    clock: Clock = field(default_factory=Clock)
    """What each candidate took."""

    def __post_init__(self) -> None:
        self.store = Store(self.settings.store)

    def results(self, spec: CandidateSpec) -> Results:
        return Results(self.store, spec)

    def failed(self, spec: CandidateSpec) -> bool:
        return spec.work.key in self.failures

    def count(self, phase: str, *, reused: int = 0, made: int = 0) -> None:
        self.reused[phase] = self.reused.get(phase, 0) + reused
        self.made[phase] = self.made.get(phase, 0) + made
