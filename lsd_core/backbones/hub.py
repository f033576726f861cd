"""Download checkpoints from the Hugging Face hub into its own cache."""

from pathlib import Path
from typing import Any

from lsd_core.backbones.checkpoint import INDEX, shard_names
from lsd_core.errors import InputError

CONFIG = "config.json"
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


def fetch_hub(repository: str, revision: str | None = None) -> Path:
    """A folder with the repository's configuration and weights, from the hub or its cache.

    Sharded weights come with all their shards; beside these only files of a tokenizer are fetched, never code. Raises
    InputError where the extra [text], the repository, the permission or the connection is missing.
    """
    config = _download(repository, CONFIG, revision)
    if config is None:
        raise InputError(
            f"hf://{repository}", f"hold {CONFIG}", "none", "is it a model in a supported layout?"
        )
    folder = config.parent  # named by the commit, so that both files are of the same one
    for name in WEIGHTS:
        found = _download(repository, name, folder.name)
        if found is not None:
            for shard in shard_names(found) if name.endswith(INDEX) else ():
                if _download(repository, shard, folder.name) is None:
                    raise InputError(f"hf://{repository}", f"hold the shards of {name}", f"no {shard}")
            for file in TOKENIZER:  # of a masked language model
                _download(repository, file, folder.name)
            return folder
    raise InputError(f"hf://{repository}", f"hold {' or '.join(WEIGHTS)}", "none of them")


def cached_hub(repository: str) -> Path | None:
    """The folder that an earlier download left in the hub's cache; needs no network."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(repository, CONFIG)
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    for name in WEIGHTS:
        if (folder / name).is_file():
            names = shard_names(folder / name) if name.endswith(INDEX) else []
            return folder if all((folder / shard).is_file() for shard in names) else None
    return None


def _download(repository: str, name: str, revision: str | None) -> Path | None:
    """The local path of a file; None where the repository does not have it."""
    where = f"hf://{repository}" + (f"@{revision}" if revision else "")
    by_hand = f"or fetch it elsewhere: hf download {repository} --local-dir FOLDER, and name FOLDER"
    try:
        from huggingface_hub import errors, hf_hub_download
    except ImportError:
        remedy = "pip install 'lsd-samplers[text]' -c constraints.txt, " + by_hand
        raise InputError("backbone", "be local without the extra [text]", where, remedy) from None
    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except errors.LocalEntryNotFoundError:
        raise InputError(where, "be reachable or in the hub's cache", "no connection", by_hand) from None
    except errors.GatedRepoError:
        raise InputError(
            where, "be open to you", "a gated repository", "ask its owner, set HF_TOKEN"
        ) from None
    except errors.RepositoryNotFoundError:
        remedy = "check the name; for a private one set HF_TOKEN"
        raise InputError(where, "be a repository on the hub", "no such repository", remedy) from None
    except errors.RevisionNotFoundError:
        raise InputError(where, "name a branch, tag or commit", revision or "main") from None
    except errors.EntryNotFoundError:
        return None
    except (errors.HfHubHTTPError, OSError) as error:
        raise InputError(where, "be reachable", _one_line(error), by_hand) from None


def _one_line(error: Any) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
