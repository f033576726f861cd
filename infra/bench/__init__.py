"""Measurements that take minutes and a quiet machine: run by hand, with the figures in docs/storage.md.

Everything is compared within one run, interleaved, and reported as a ratio of medians.
"""
