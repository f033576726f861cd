"""Every place is settled by the declared precedence, and no secret gets into one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.settings import EMBEDDED, LOCAL_RAY, Settings, quiet_console, resolve
from lsd_core.errors import InputError
from lsd_core.storage.home import VARIABLES


def test_the_embedded_defaults_lie_in_one_folder_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = resolve(env={})
    home = tmp_path / "lsd-data"
    assert settings == Settings(
        home=home,
        store=str(home / "store"),
        tracking_uri=f"sqlite:///{home}/mlflow.db",
        ray_address=LOCAL_RAY,
        prefect_api_url=EMBEDDED,
    )
    assert set(settings.origins.values()) == {"default"}
    assert settings.environment()["PREFECT_HOME"] == str(home / "prefect")
    assert "PREFECT_API_URL" not in settings.environment()
    assert not home.exists()  # resolving is reading


@pytest.mark.parametrize("name", ["tracking_uri", "ray_address", "prefect_api_url"])
def test_command_line_then_config_then_ours_then_the_tools(name: str) -> None:
    ours, tools = VARIABLES[name]
    url = "http://{}.example".format
    env = {ours: url("ours"), tools: url("tool")}
    order = [
        (
            resolve(command_line={name: url("line")}, config={name: url("config")}, env=env),
            "line",
            "command line",
        ),
        (resolve(command_line={name: None}, config={name: url("config")}, env=env), "config", "config"),
        (resolve(config={name: None}, env=env), "ours", ours),
        (resolve(env={tools: url("tool")}), "tool", tools),
    ]
    for settings, value, origin in order:
        assert getattr(settings, name) == url(value)
        assert settings.origins[name] == origin


def test_home_moves_everything_embedded_and_nothing_else(tmp_path: Path) -> None:
    settings = resolve(env={"LSD_HOME": str(tmp_path / "h"), "LSD_STORE": "s3://bucket/lsd"})
    assert settings.home == tmp_path / "h"
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/h/mlflow.db"
    assert settings.store == "s3://bucket/lsd"
    assert settings.artifacts.parent == settings.reports.parent == settings.home


def test_a_bare_store_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve(command_line={"store": "here"}, env={}).store == str(tmp_path / "here")


@pytest.mark.parametrize("name", ["store", "tracking_uri", "ray_address", "prefect_api_url"])
def test_a_url_with_a_password_is_refused_without_showing_it(name: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(command_line={name: "https://user:hunter2@example.org/x"}, env={})
    message = str(caught.value)
    assert message.startswith(f"{name} must carry no credentials, got https://***@example.org/x; set ")
    assert "hunter2" not in message
    assert "user" not in message.lower().replace("username", "")


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns"])
def test_a_tracking_folder_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match=r"^tracking_uri must be sqlite:///FILE or .* got .*mlruns; MLflow"):
        resolve(command_line={"tracking_uri": uri}, env={})


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(InputError, match="sotre"):
        resolve(config={"sotre": "x"}, env={})


def test_apply_sets_places_and_keeps_what_the_user_chose_for_prefect(tmp_path: Path) -> None:
    env = {"PREFECT_HOME": "mine", "MLFLOW_TRACKING_URI": "http://tool.example", "SECRET": "kept"}
    settings = resolve(
        command_line={
            "home": str(tmp_path),
            "tracking_uri": "http://a.example",
            "prefect_api_url": "http://b/api",
        },
        env=env,
    )
    settings.apply(env)
    quiet_console(env)
    assert env["PREFECT_HOME"] == "mine"
    assert env["MLFLOW_TRACKING_URI"] == "http://a.example"
    assert env["PREFECT_API_URL"] == "http://b/api"
    assert env["LSD_HOME"] == str(tmp_path)
    assert env["SECRET"] == "kept"
    assert env["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] == "CRITICAL"


def test_a_home_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="home must be a folder that can be written"):
        resolve(command_line={"home": str(tmp_path / "file" / "home")}, env={}).apply({})


def test_prefect_obeys_what_apply_sets(tmp_path: Path) -> None:
    code = f"""
from flows.settings import quiet_console, resolve
import sys
assert not {{"prefect", "ray", "mlflow"}} & set(sys.modules)
resolve(command_line={{"home": {str(tmp_path / "new" / "home")!r}}}).apply()
quiet_console()
from prefect.settings import get_current_settings
s = get_current_settings()
print(s.home, s.api.url, s.server.analytics_enabled, s.server.ephemeral.startup_timeout_seconds,
      s.results.default_serializer, s.results.persist_by_default, s.internal.logging_level)
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LSD_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stderr == ""
    assert done.stdout.split() == [
        str(tmp_path / "new/home/prefect"),
        "None",
        "False",
        "120",
        "json",
        "False",
        "CRITICAL",
    ]
