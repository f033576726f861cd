"""The tests. A package, since libraries install a `tests` of their own, which `python -m tests.fuzz` would find."""
