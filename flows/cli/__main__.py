"""`python -m flows.cli` is `lsd`."""

from flows.cli import main

main()
