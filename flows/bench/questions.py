"""What can be asked of the benchmarks, each a module of that name."""

QUESTIONS = (
    "step",
    "launches",
    "whole",
    "learned",
    "memory",
    "precision",
    "teacher",
    "pricing",
    "growth",
    "work",
    "methods",
)
SLOW = ("grid", "scale")  # minutes of a whole grid, or of many: only when asked for by name
