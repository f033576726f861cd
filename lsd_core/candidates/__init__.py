"""Candidates: a cell with a method. What defines one, how it is learned and measured, and its card."""

from lsd_core.candidates.spec import CODE_EPOCH, CandidateSpec, EvaluationSpec

__all__ = ["CODE_EPOCH", "CandidateSpec", "EvaluationSpec"]
