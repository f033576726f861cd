"""Lines from a worker to whoever started its work, among all that libraries print."""

MARK = "lsd: "


def tell(text: str) -> None:
    """On a worker: say something in the log of the run."""
    print(f"{MARK}{text}", flush=True)
