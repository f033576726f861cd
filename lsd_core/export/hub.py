"""The Hugging Face hub: a sampler pushed as a model repository, and its URL for `load_sampler`.

A repository is laid out as a store: `card.json`, `README.md`, and the backbone's weights under `backbones/`, so
`hf://owner/name` is read by the same code as any other URL. The token comes from HF_TOKEN or `hf auth login`.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from lsd_core.backbones.publish import publish
from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError
from lsd_core.export.formats import export_diffusers, export_json, scheduler_config
from lsd_core.numerics.names import REPOSITORY
from lsd_core.registry.card_fields import describe
from lsd_core.sampler import LoadedSampler
from lsd_core.storage.store import Store


def push(sampler: LoadedSampler, repository: str, *, private: bool = False) -> str:
    """Put a sampler into a model repository (made if it is not there) in one commit; returns its hf:// URL."""
    REPOSITORY.check("repository", repository)
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        remedy = "pip install 'lsd-samplers[export]' -c constraints.txt"
        raise InputError("huggingface_hub", "be installed", str(error), remedy) from None
    api = HfApi()
    with TemporaryDirectory() as folder:
        write_repository(sampler, repository, Path(folder))
        try:
            api.create_repo(repository, repo_type="model", private=private, exist_ok=True)
            api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                commit_message=f"{sampler.card.title} {sampler.card.sha256[:8]}",
            )
        except (HfHubHTTPError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            remedy = "check HF_TOKEN (a token that may write) and HF_ENDPOINT"
            raise InputError(f"repository {repository}", "accept the sampler", reason, remedy) from None
    return f"hf://{repository}"


def write_repository(sampler: LoadedSampler, repository: str, folder: Path) -> None:
    """The repository's files: card, model card, weights, and the scheduler where there can be one."""
    export_json(sampler, folder)
    if _has_scheduler(sampler):
        export_diffusers(sampler, folder)
    publish(sampler.backbone, Store(str(folder)))
    (folder / "README.md").write_text(model_card(sampler.card, repository))


def model_card(card: SamplerCard, repository: str) -> str:
    """The description under the hub's header."""
    tags = ["lsd-samplers", "discrete-diffusion", f"nfe-{card.nfe}", card.method]
    header = ["---", "library_name: lsd-samplers", "tags:", *(f"- {tag}" for tag in tags), "---", ""]
    return "\n".join(header) + describe(card, f"hf://{repository}")


def _has_scheduler(sampler: LoadedSampler) -> bool:
    try:
        scheduler_config(sampler.card, sampler.backbone)
        from lsd_core.export import scheduling_lsd  # noqa: F401
    except (InputError, ImportError):
        return False
    return True
