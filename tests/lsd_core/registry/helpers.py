"""What the tests of the registry share."""

from mlflow import MlflowClient


def at_nfe(nfe: int) -> dict:
    """Fields of a card with another budget."""
    table = {"times": [1 - k / nfe for k in range(nfe + 1)], "gains": [1.0] * nfe, "gain_on": "log_score"}
    return {"nfe": nfe, "steps": nfe, "calls": {"mean": nfe, "max": nfe}, "table": table}


def aliases(name: str, uri: str) -> dict:
    found = MlflowClient(uri, uri).get_registered_model(name).aliases
    return {alias: int(version) for alias, version in found.items()}  # strings from a server
