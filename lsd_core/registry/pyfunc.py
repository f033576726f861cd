"""The model folder that is registered: the card, and the pyfunc files around it.

Nothing in it is pickled: the model is code (`pyfunc_sampler.py`), its parameters the card. Our own loader reads
the card alone and executes nothing.
"""

from importlib import metadata
from pathlib import Path

from lsd_core.cards import SamplerCard

CARD_FILE = "card.json"
ASKED = [{"num_samples": 2, "seed": 0}]  # what a request looks like: MLflow shows it beside the model
CODE = Path(__file__).with_name("pyfunc_sampler.py")


def write_model(
    folder: Path, card: SamplerCard, *, store_url: str | None, run_id: str, model_id: str
) -> None:
    """Fill a folder that does not exist yet; `card.json` lies at its top."""
    import numpy as np
    import pandas as pd
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types import ColSpec, Schema, TensorSpec

    written = folder.with_name(CARD_FILE)
    written.write_bytes(card.to_json().encode())
    columns = [ColSpec("long", "num_samples"), ColSpec("long", "seed", required=False)]
    save_model(
        path=folder,
        python_model=str(CODE),
        artifacts={"card": str(written)},
        mlflow_model=Model(run_id=run_id, model_id=model_id),
        model_config={"card_sha256": card.sha256, "title": card.title, "store": store_url or ""},
        signature=ModelSignature(Schema(columns), Schema([TensorSpec(np.dtype("int64"), (-1, -1))])),
        input_example=pd.DataFrame(ASKED),
        pip_requirements=[f"lsd-samplers=={metadata.version('lsd-samplers')}"],
    )
    saved = Model.load(folder)
    flavour = saved.flavors["python_function"]
    flavour["artifacts"]["card"] = {
        "path": CARD_FILE,
        "uri": CARD_FILE,
    }  # one card, where our loader reads it
    flavour["model_code_path"] = CODE.name  # and no path of this machine
    saved.save(folder / "MLmodel")
    (folder / "artifacts" / CARD_FILE).rename(folder / CARD_FILE)
    (folder / "artifacts").rmdir()
