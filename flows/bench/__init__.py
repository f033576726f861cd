"""Benchmarks: costs as ratios to the network's own work, one file per question.

Every figure divides by a bare forward pass, or by a plainly written step, timed in the same run and in turn
with it; medians with their spread. Absolute seconds belong to one machine on one day, so none are reported.
"""
