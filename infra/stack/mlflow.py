"""The MLflow server: records in a database, artifacts in the object store, which only the server may enter."""

from collections.abc import Mapping
from pathlib import Path

from infra.stack.facts import LOOPBACK, Facts, write_private
from infra.stack.server import Server, answers, python_path, tool

USER = "lsd"


def server(home: Path, facts: Facts, *, database: str, artifacts: str, s3: Mapping[str, str]) -> Server:
    """`database` is SQLAlchemy's URL, `artifacts` the s3:// folder, `s3` what reaches it."""
    command = [tool("mlflow"), "server", "--host", LOOPBACK, "--port", str(facts.ports["mlflow"])]
    command += ["--artifacts-destination", artifacts, "--workers", "1", "--app-name", "basic-auth"]
    return Server(
        name="mlflow",
        command=command,
        healthy=lambda: answers(facts.url("mlflow", "/health")),
        url=facts.url("mlflow"),
        env=python_path()
        | dict(s3)
        | {
            "MLFLOW_BACKEND_STORE_URI": database,  # it holds a password: not for a command line
            "MLFLOW_AUTH_CONFIG_PATH": str(_auth_file(home)),
            "MLFLOW_AUTH_ADMIN_USERNAME": USER,
            "MLFLOW_AUTH_ADMIN_PASSWORD": facts.secrets["mlflow"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": facts.secrets["flask"],
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # a third of the memory, and nothing here needs it
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
        },
    )


def client_env(facts: Facts) -> dict[str, str]:
    """What reaches it."""
    return {
        "MLFLOW_TRACKING_URI": facts.url("mlflow"),
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": facts.secrets["mlflow"],
    }


def _auth_file(home: Path) -> Path:
    """How it knows people; a password is checked against its slow hash once a minute, not at every request."""
    file = home / "auth.ini"
    settings = {
        "default_permission": "NO_PERMISSIONS",
        "database_uri": f"sqlite:///{home / 'auth.db'}",
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": "60",
    }
    write_private(file, "[mlflow]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    return file
