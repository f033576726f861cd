"""Commands that export a sampler: as files, and to the Hugging Face hub."""

from pathlib import Path

from flows.cli.shared import Registry, Source, Store, app, care, console


@app.command(group=care)
def export(
    uri: Source,
    *,
    to: str = "json",
    out: Path | None = None,
    store: Store = None,
    registry: Registry = None,
) -> int:
    """Write a sampler as files that need none of our code.

    Parameters
    ----------
    to:
        `json` (the card), `diffusers` (a folder for `from_pretrained`; needs the extra [export]), or a configuration of
        `lmdeploy` or of diffusers' `llada2` pipeline, where the sampler has a counterpart there.
    out:
        folder for the files; named after the sampler if left out.
    """
    from lsd_core.export.formats import export as write
    from lsd_core.sampler import load_sampler

    sampler = load_sampler(uri, tracking_uri=registry, store=store)
    for file in write(sampler, to, out or Path(sampler.card.title.replace(" ", "-"))):
        console.print(str(file), soft_wrap=True)
    return 0


@app.command(group=care)
def push(
    uri: Source,
    repository: str,
    *,
    private: bool = False,
    store: Store = None,
    registry: Registry = None,
) -> int:
    """Put a sampler with its weights on the Hugging Face hub, from where `hf://OWNER/NAME` loads it.

    The token comes from HF_TOKEN or `hf auth login`.

    Parameters
    ----------
    repository:
        OWNER/NAME; made if it is not there.
    private:
        make it a private one.
    """
    from lsd_core.export.hub import push as upload
    from lsd_core.sampler import load_sampler

    sampler = load_sampler(uri, tracking_uri=registry, store=store)
    url = upload(sampler, repository, private=private)
    console.print(f"{url}\nNext: lsd sample {url} -n 4", soft_wrap=True)
    return 0
