"""Commands on registered samplers: list, sample, pick."""

import json
from typing import Annotated

from cyclopts import Parameter

from flows.cli.shared import (
    Json,
    Listed,
    Registry,
    Source,
    Store,
    Whole,
    Wholes,
    app,
    complaints,
    console,
    visible,
    whole,
)


@app.command
def samplers(
    backbone: str,
    *,
    nfe: Wholes = None,
    methods: Annotated[list[str] | None, Listed] = None,
    samplers: Annotated[list[str] | None, Listed] = None,
    champions: Annotated[bool, Parameter(negative="")] = False,
    max_error: float | None = None,
    min_entropy: float | None = None,
    sort: str = "nfe",
    registry: Registry = None,
    json_: Json = False,
) -> int:
    """List the registered samplers of a backbone, controls included, champions marked by their aliases.

    Parameters
    ----------
    nfe:
        only these budgets.
    methods:
        only these methods.
    samplers:
        only these base samplers.
    champions:
        only those that hold an alias.
    max_error:
        most of the metric that decides, whatever its name.
    min_entropy:
        least entropy, in nats.
    sort:
        nfe, primary (or the metric's name), entropy, bound or version.
    """
    from flows.report.samplers_table import samplers_table, selected
    from lsd_core.registry import list_versions

    rows = selected(
        list_versions(backbone, tracking_uri=registry),
        nfe=nfe,
        methods=methods,
        samplers=samplers,
        champions=champions,
        max_primary=max_error,
        min_entropy=min_entropy,
        sort=sort,
    )
    if json_:
        print(json.dumps(rows, indent=2))
        return 0
    console.print(samplers_table(backbone, rows))
    champion = min((alias for row in rows for alias in row["aliases"]), key=len, default=None)
    if champion:
        console.print(f"Next: lsd sample models:/{backbone}@{champion} -n 4")
    return 0


@app.command
def sample(
    uri: Source,
    *,
    num_samples: Annotated[int, Parameter(name=["-n", "--num-samples"], converter=whole)] = 4,
    seed: Whole = 0,
    prompt: str | None = None,
    infill: str | None = None,
    blank: str = "_",
    device: str = "cpu",
    store: Store = None,
    registry: Registry = None,
    json_: Json = False,
) -> int:
    """Draw sequences; `-n 32` begins with the same sequences as `-n 16`.

    Given tokens never change and cost no network calls. They are written as the sequences are: text where the
    backbone has a vocabulary, else token numbers with spaces between them.

    Parameters
    ----------
    num_samples:
        how many.
    seed:
        names the endless list of sequences that these are the first of.
    prompt:
        what all sequences begin with.
    infill:
        a template, with blanks where tokens are to be drawn, as after its end: `--infill "a _____ is"`.
    blank:
        what stands for a blank in the template.
    device:
        where the network computes: cpu, cuda or cuda:N.
    """
    from lsd_core.sampler import load_sampler

    sampler = load_sampler(uri, tracking_uri=registry, store=store, device=device)
    tokens = sampler.sample(num_samples, seed=seed, prompt=prompt, infill=infill, blank=blank)
    if json_:
        print(json.dumps(tokens.tolist()))
    else:
        for text in sampler.write(tokens):
            print(visible(text))  # a sequence a line
    return 0


@app.command
def pick(
    backbone: str,
    *,
    max_nfe: Whole,
    min_entropy: float | None = None,
    given: str | None = None,
    registry: Registry = None,
) -> int:
    """Print the URI of the best sampler within a budget; what it is and scored goes to standard error.

    Parameters
    ----------
    max_nfe:
        most network calls a sample may use.
    min_entropy:
        least unigram entropy, in nats.
    given:
        the set of conditions, by the digits in which its aliases end: ad4f8059 for nfe4-given-ad4f8059.
    """
    from flows.report.samplers_table import in_words
    from lsd_core.registry import pick as choose

    found = choose(backbone, max_nfe=max_nfe, min_entropy=min_entropy, given=given, tracking_uri=registry)
    complaints.print(in_words(found))
    print(found["uri"])
    return 0
