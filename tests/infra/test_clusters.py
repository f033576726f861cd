"""The cluster files are what Ray, KubeRay and Kubernetes accept, name our version of Ray, and hold no secret."""

import copy
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

INFRA = Path(__file__).parents[2] / "infra"
KUBERNETES = "1.30"
# Fields of ray.io/v1 that we use (KubeRay's API reference); the full schemas are megabytes, and no part of this.
POD = {
    "type": "object",
    "required": ["spec"],
    "properties": {"metadata": {}, "spec": {}},
    "additionalProperties": False,
}
STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


RAY_CLUSTER = closed(
    ["rayVersion", "headGroupSpec", "workerGroupSpecs"],
    rayVersion={"type": "string"},
    authOptions=closed(["mode"], mode={"enum": ["token"]}),
    enableInTreeAutoscaling={"type": "boolean"},
    autoscalerOptions=closed(
        ["version"],
        version={"enum": ["v1", "v2"]},
        idleTimeoutSeconds=COUNT,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        resources={},
    ),
    headGroupSpec=closed(
        ["rayStartParams", "template"], serviceType={"type": "string"}, rayStartParams=STRINGS, template=POD
    ),
    workerGroupSpecs={
        "type": "array",
        "minItems": 1,
        "items": closed(
            ["groupName", "maxReplicas", "template"],
            groupName={"type": "string"},
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            rayStartParams=STRINGS,
            template=POD,
        ),
    },
)
RAY_JOB = closed(
    ["entrypoint", "clusterSelector"],
    entrypoint={"type": "string"},
    clusterSelector=STRINGS,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
    # With a cluster selector the operator refuses retries and SidecarMode, whatever the schema says.
    backoffLimit={"const": 0},
)
SCHEMAS = {"RayCluster": RAY_CLUSTER, "RayJob": RAY_JOB}


def documents() -> dict[str, dict[str, Any]]:
    found = [
        d for path in sorted((INFRA / "kuberay").glob("*.yaml")) for d in yaml.safe_load_all(path.read_text())
    ]
    return {document["kind"]: document for document in found}


def pods(cluster: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in (cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]):
        pod = group["template"]
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "checked"} | pod["metadata"],
            "spec": pod["spec"],
        }


def aws() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((INFRA / "ray" / "aws-spot.yaml").read_text())
    return loaded


def test_ray_up_accepts_the_cluster() -> None:
    config = prepare_config(aws())
    validate_config(config)
    workers = config["available_node_types"]["gpu-spot"]
    assert workers["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert (workers["min_workers"], workers["max_workers"]) == (0, 8)
    assert config["available_node_types"][config["head_node_type"]]["resources"] == {"CPU": 0}


def test_ray_up_would_refuse_a_field_that_it_does_not_know() -> None:
    with pytest.raises(jsonschema.ValidationError, match="max_worker"):
        validate_config(prepare_config(aws() | {"max_worker": 8}))


def test_kuberay_knows_every_field() -> None:
    found = documents()
    assert set(found) == {"RayCluster", "RayJob", "ServiceAccount"}
    for kind, schema in SCHEMAS.items():
        assert found[kind]["apiVersion"] == "ray.io/v1"
        jsonschema.validate(found[kind]["spec"], schema)
    broken = copy.deepcopy(found["RayCluster"]["spec"])
    broken["workerGroupSpecs"][0]["maxReplica"] = 8
    with pytest.raises(jsonschema.ValidationError, match="maxReplica"):
        jsonschema.validate(broken, RAY_CLUSTER)


def test_kubernetes_accepts_the_pods() -> None:
    cluster = documents()["RayCluster"]
    for pod in pods(cluster):
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        broken = copy.deepcopy(pod)
        broken["spec"]["containers"][0]["resources"]["limit"] = {}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, KUBERNETES, strict=True)
    kubernetes_validate.validate(documents()["ServiceAccount"], KUBERNETES, strict=True)


def test_the_operator_accepts_what_its_schema_does_not_say() -> None:
    """Rules that KubeRay checks in code, with autoscaler v2 and a token."""
    cluster = documents()["RayCluster"]
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", cluster["metadata"]["name"])
    assert tuple(map(int, cluster["spec"]["rayVersion"].split(".")[:2])) >= (2, 52)  # tokens
    for pod in pods(cluster):
        assert pod["spec"].get("restartPolicy", "Never") == "Never"
        names = {variable["name"] for variable in pod["spec"]["containers"][0].get("env", [])}
        assert "RAY_enable_autoscaler_v2" not in names


def test_the_cluster_grows_from_none_on_spot_and_runs_our_ray() -> None:
    found = documents()
    spec = found["RayCluster"]["spec"]
    assert spec["rayVersion"] == version("ray")
    assert spec["enableInTreeAutoscaling"] is True
    (workers,) = spec["workerGroupSpecs"]
    assert workers["minReplicas"] == workers["replicas"] == 0 < workers["maxReplicas"]
    limits = workers["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1"
    assert "spot" in workers["template"]["spec"]["nodeSelector"].values()
    assert found["RayJob"]["spec"]["clusterSelector"] == {
        "ray.io/cluster": found["RayCluster"]["metadata"]["name"]
    }


def test_the_jobs_command_is_one_of_ours() -> None:
    from flows.cli.shared import app

    words = documents()["RayJob"]["spec"]["entrypoint"].split()
    assert words[0] == "lsd"
    command, bound, _ = app.parse_args(words[1:], exit_on_error=False, print_error=False)
    assert command.__name__ == "teacher"
    assert bound.arguments["num_gpus"] == 1


def test_no_file_holds_a_secret() -> None:
    secret = r"AKIA|(?i:secret_?(access_)?key|password)\s*[:=]|auth_token\s*[:=]\s*\S{16}"
    for path in [*(INFRA / "ray").glob("*.yaml"), *(INFRA / "kuberay").glob("*.yaml")]:
        assert not re.search(secret, path.read_text())
