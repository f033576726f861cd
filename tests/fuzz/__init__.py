"""Malformed inputs of every kind with fixed seeds, and the three outcomes that are allowed.

`python -m tests.fuzz` runs them all and prints the counts.
"""
