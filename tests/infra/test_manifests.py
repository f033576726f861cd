"""Compose file, images and manifests are right as far as a machine without Docker or Kubernetes can tell."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.stack.prefect import POOL

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
COMPOSE = INFRA / "compose" / "compose.yaml"
TEMPLATE = INFRA / "compose" / "env.template"
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|AUTH_STRING|CONNECTION_URL|STORE_URI")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


def test_the_compose_file_fits_the_specification() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(COMPOSE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelt_key_does_not_fit(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("healthcheck:", "healtcheck:", 1))
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(wrong),
    ]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_every_service_is_pinned_unprivileged_and_watched(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[\w./-]+:\d[\w.-]*", service["image"]), name
        assert service["user"] not in ("root", "0", "0:0"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["cap_drop"] == ["ALL"], name
        once = service["restart"] == "no"
        assert once or "test" in service["healthcheck"], name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_services_wait_for_services_that_exist(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            ends = services[other]["restart"] == "no"
            expected = "service_completed_successfully" if ends else "service_healthy"
            assert how["condition"] == expected, (name, other)
        for config in service.get("configs", []):
            assert config["source"] in compose["configs"], name
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"], name


def test_no_secret_has_a_value_or_a_default(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            plain = not SECRET.search(variable) or variable.endswith(("_USERNAME", "_CONFIG_PATH"))
            assert plain or re.search(r"\$\{\w+:\?", value), (name, variable)
    asked = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    optional = set(re.findall(r"\$\{(\w+):-", COMPOSE.read_text()))
    lines = dict(line.split("=") for line in TEMPLATE.read_text().splitlines() if re.match(r"\w+=", line))
    assert set(lines) == asked | optional
    assert all(not lines[name] for name in asked)


def test_the_dotenv_file_is_ignored_by_git() -> None:
    command = ["git", "check-ignore", "--quiet", "infra/compose/.env"]
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("path", sorted((INFRA / "images").glob("*Dockerfile")), ids=lambda path: path.name)
def test_images_are_pinned_and_end_as_a_user(path: Path) -> None:
    lines = [line.split() for line in path.read_text().splitlines() if line[:1].isalpha()]
    bases = [words[1] for words in lines if words[0] == "FROM"]
    assert all(re.search(r":\d+\.\d+", base) for base in bases)
    users = [words[1] for words in lines if words[0] == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    sources = [
        name for words in lines if words[0] == "COPY" for name in words[1:-1] if not name.startswith("--")
    ]
    assert all((ROOT / source).exists() for source in sources)


def test_the_image_has_the_python_that_the_constraints_were_tested_on() -> None:
    tested = re.search(r"CPython (\d+\.\d+)", (ROOT / "constraints.txt").read_text())
    assert tested is not None
    assert f"FROM python:{tested[1]}." in (INFRA / "images" / "Dockerfile").read_text()


def test_the_kubernetes_worker_fits_the_api_and_serves_our_pool() -> None:
    import kubernetes_validate

    (manifest,) = yaml.safe_load_all((INFRA / "kubernetes" / "prefect-worker.yaml").read_text())
    kubernetes_validate.validate(manifest, "1.33", strict=True)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    assert POOL in container["args"]
    manifest["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.33", strict=True)
