"""The model registry: MLflow as an index of sampler cards, which the store can rebuild.

One registered model per backbone name, one version per candidate, its card in the artifact. Aliases name
champions: `nfe8` that of 8 calls, `nfe8-euler` that of its cell. Loading executes nothing: a card is data.
(mlflow.pyfunc executes the few lines of `pyfunc_sampler.py` beside the card, for tools that know nothing else.)

MLflow is imported inside the functions, and reached through clients with explicit URIs, so nothing here
depends on its global state. Its own variables still apply, MLFLOW_TRACKING_TOKEN among them.
"""

from lsd_core.registry.aliases import promote, rollback, set_champions
from lsd_core.registry.connect import check
from lsd_core.registry.curves import add_points, begin_curve, end_curve, end_curves
from lsd_core.registry.lookup import list_versions, pick
from lsd_core.registry.reading import Resolved, resolve
from lsd_core.registry.writing import log_report, register

__all__ = [
    "Resolved",
    "add_points",
    "begin_curve",
    "check",
    "end_curve",
    "end_curves",
    "list_versions",
    "log_report",
    "pick",
    "promote",
    "register",
    "resolve",
    "rollback",
    "set_champions",
]
