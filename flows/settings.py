"""Places of a run (store, registry, Ray, Prefect), and the environment that the tools need before their import.

Precedence: command line, then config, then the environment and the defaults as in `lsd_core.storage.home`. This
module imports none of the tools, so that it can go first.
"""

import os
import pwd
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from lsd_core.errors import InputError
from lsd_core.storage.home import expanded, given, inside

HOME = "lsd-data"
EMBEDDED = "embedded"
LOCAL_RAY = "local"
# Ray's switch for a node that joins no cluster and listens on 127.0.0.1 alone, its default on macOS and Windows. It is
# read when Ray is imported.
LOOPBACK_RAY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
PLACES = ("home", "store", "tracking_uri", "ray_address", "prefect_api_url")
CREDENTIALS = {
    "store": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "tracking_uri": "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    "ray_address": "RAY_AUTH_TOKEN",
    "prefect_api_url": "PREFECT_API_KEY or PREFECT_API_AUTH_STRING",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The places one run reads and writes; holds no secret, so it may be printed and passed on."""

    home: Path
    """Folder of everything embedded; absolute."""
    store: str
    """fsspec URL of the store, or an absolute path."""
    tracking_uri: str
    """MLflow's tracking and registry URI: sqlite or a server."""
    ray_address: str
    """`local` for a private Ray, else the cluster to join."""
    prefect_api_url: str
    """`embedded` for a temporary API in this process, else the server's."""
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Where each value came from: `command line`, `config`, a variable's name or `default`."""

    @property
    def artifacts(self) -> Path:
        """Where the embedded MLflow keeps artifacts; a server decides for itself."""
        return self.home / "mlartifacts"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    def environment(self) -> dict[str, str]:
        """What the tools must find in the environment, before Prefect and Ray are imported."""
        env = embedded_environment(self.home) | {
            "LSD_HOME": str(self.home),
            "LSD_STORE": self.store,
            "MLFLOW_TRACKING_URI": self.tracking_uri,
        }
        if self.prefect_api_url != EMBEDDED:
            env["PREFECT_API_URL"] = self.prefect_api_url
        return env | (LOOPBACK_RAY if self.ray_address == LOCAL_RAY else {})

    def apply(self, env: MutableMapping[str, str] | None = None) -> None:
        """Make the home folder and put `environment()` in place; what a user set for Prefect and Ray is kept.

        Prefect makes no parents of its own: without the folder it waits in vain for its API to start.
        """
        env = os.environ if env is None else env
        trust_loopback(env)
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("home", "be a folder that can be written", str(self.home), str(error)) from error
        for name, value in self.environment().items():
            if name.startswith(("PREFECT_", "RAY_")) and name != "PREFECT_API_URL":
                env.setdefault(name, value)
            else:
                env[name] = value


def resolve(
    *,
    command_line: Mapping[str, str | None] | None = None,
    config: Mapping[str, str | None] | None = None,
    env: Mapping[str, str] | None = None,
) -> Settings:
    """Settle every place from its sources; `command_line` and `config` are keyed by the fields of Settings.

    Raises InputError for a URL that carries a password or a tracking URI that MLflow no longer serves.
    """
    env = os.environ if env is None else env
    sources = (("command line", command_line or {}), ("config", config or {}))
    unknown = {name for _, asked in sources for name in asked} - set(PLACES)
    if unknown:
        raise InputError("settings", f"be among {', '.join(PLACES)}", ", ".join(sorted(unknown)))
    found: dict[str, tuple[str, str]] = {}
    for name in PLACES:
        asked = next(((value, label) for label, each in sources if (value := each.get(name))), None)
        chosen = asked or given(name, env)
        if chosen is not None:
            _refuse_secrets(name, chosen[0])
            found[name] = chosen
    home = _check_home(expanded(found.get("home", (HOME, ""))[0]))
    defaults = inside(home) | {"ray_address": LOCAL_RAY, "prefect_api_url": EMBEDDED}
    values = {name: found.get(name, (default, "default"))[0] for name, default in defaults.items()}
    _check_tracking_uri(values["tracking_uri"])
    return Settings(
        home=home,
        store=_absolute(values["store"]),
        tracking_uri=values["tracking_uri"],
        ray_address=values["ray_address"],
        prefect_api_url=values["prefect_api_url"],
        origins={name: found.get(name, ("", "default"))[1] for name in PLACES},
    )


def embedded_environment(home: Path) -> dict[str, str]:
    """What keeps the tools inside the project folder, silent about usage, and patient on a slow machine."""
    return {
        "PREFECT_HOME": str(home / "prefect"),
        # Telemetry of the temporary API fights over its sqlite file ("database is locked").
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # nothing at rest is pickled
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "DO_NOT_TRACK": "1",  # Prefect's and MLflow's own word for it
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def quiet_console(env: MutableMapping[str, str] | None = None) -> None:
    """Keep Prefect's log off the terminal, where our progress bars are; its API still records every line.

    Its own services would show a screen for each event that a server which has ended does not take.
    """
    env = os.environ if env is None else env
    for name in ("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "PREFECT_INTERNAL_LOGGING_LEVEL"):
        env.setdefault(name, "CRITICAL")


def _absolute(store: str) -> str:
    """A bare path made absolute, since a Ray worker may sit in another folder; URLs as they are."""
    return store if "://" in store else str(expanded(store))


def _refuse_secrets(name: str, value: str) -> None:
    """Credentials in a URL end up in configs, logs and cards."""
    scheme, mark, rest = value.partition("://")
    if not mark or "@" not in rest or scheme in ("sqlite", "file"):
        return
    shown = f"{scheme}://***@{rest.rpartition('@')[2]}"
    raise InputError(name, "carry no credentials", shown, f"set {CREDENTIALS.get(name, 'them')} instead")


def _check_home(home: Path) -> Path:
    """The folder, unless databases in it could not be named by a URL."""
    if found := sorted(set(str(home)) & set("?#%")):
        remedy = "set LSD_HOME to a folder whose path has none of ? # %"
        raise InputError("home", f"be without {' '.join(found)} in its path", str(home), remedy)
    return home


def trust_loopback(env: MutableMapping[str, str]) -> None:
    """Where a proxy is set, keep this machine's own servers from being asked for through it."""
    if not any(env.get(name) for name in PROXIES):
        return
    known = [part.strip() for name in ("NO_PROXY", "no_proxy") for part in env.get(name, "").split(",")]
    named = list(dict.fromkeys([*filter(None, known), *LOOPBACK]))
    env["NO_PROXY"] = env["no_proxy"] = ",".join(named)


def name_the_user(env: MutableMapping[str, str]) -> None:
    """Give a user id that has no name one: torch, Ray and MLflow ask for it."""
    if any(env.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        return
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        env["USER"] = f"uid-{os.getuid()}"


def _check_tracking_uri(uri: str) -> None:
    if uri.partition(":")[0].lower() not in ("sqlite", "http", "https"):
        raise InputError(
            "tracking_uri",
            "be sqlite:///FILE or the http(s) URL of an MLflow server",
            uri,
            "MLflow no longer writes plain folders",
        )
