"""The sampler as an MLflow pyfunc: this very file lies beside each card, and mlflow.pyfunc executes it.

`load_sampler` does not: it reads the card and executes nothing. This is for tools that speak pyfunc alone,
`mlflow models serve` among them. Each input row asks for `num_samples` sequences of `seed`; the answer is their
tokens, row after row.
"""

from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class Sampler(PythonModel):
    """Draws from the card that lies in the model's artifacts, whose hash must be as registered."""

    def load_context(self, context: PythonModelContext) -> None:
        from pathlib import Path

        from lsd_core.cards import SamplerCard, text_sha256
        from lsd_core.errors import InputError
        from lsd_core.sampler import sampler_of

        config, text = context.model_config, Path(context.artifacts["card"]).read_text()
        found = text_sha256(text)
        if found != config["card_sha256"]:
            rule = f"have the sha256 it was registered with, {config['card_sha256']}"
            raise InputError(f"card of {config['title']}", rule, found, "register it again (lsd register)")
        self.sampler = sampler_of(SamplerCard.from_json(text), hint=config["store"] or None)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        drawn = [
            self.sampler.sample(int(row["num_samples"]), seed=int(row.get("seed", 0) or 0)).numpy()
            for row in model_input.to_dict("records")
        ]
        return np.concatenate(drawn)


mlflow.models.set_model(Sampler())
