"""A sampler goes to the hub and comes back. The hub is one of this machine that speaks the hub's HTTP."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.export.hub import push
from lsd_core.sampler import LoadedSampler, load_sampler

pytest.importorskip("huggingface_hub")
TOKEN = "hf_of_the_test"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Repositories in memory; `log` remembers who asked for what."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    """The few of the hub's routes that a push and a load need."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.say(401, {"error": "Invalid username or password."})
        if self.path == "/api/validate-yaml":
            return self.say(200, {"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            record = json.loads(body)
            name = f"{record['organization']}/{record['name']}"
            self.server.files.setdefault(name, {})
            return self.say(200, {"url": f"{self.server.url}/{name}", "name": name})
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/[^/?]+(\?.*)?", self.path)
        if match is None:
            return self.say(404, {"error": self.path})
        files = self.server.files[match[1]]
        if match[2] == "preupload":
            wanted = [file["path"] for file in json.loads(body)["files"]]
            modes = [
                {"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": None} for path in wanted
            ]
            return self.say(200, {"files": modes})
        if match[2] == "commit":
            lines = [json.loads(line) for line in body.splitlines()]
            self.server.commits.append(lines[0]["value"]["summary"])
            for line in lines[1:]:
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"{self.server.url}/{match[1]}/commit/{COMMIT}"
            return self.say(200, {"commitUrl": url, "commitOid": COMMIT, "hookOutput": "", "success": True})
        return self.say(404, {"error": self.path})

    def do_GET(self) -> None:
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/[^/?]+)?(\?.*)?", self.path):
            if match[1] not in self.server.files:
                return self.say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            siblings = [{"rfilename": path} for path in self.server.files[match[1]]]
            return self.say(200, {"id": match[1], "sha": COMMIT, "siblings": siblings})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/[^/?]+/?([^?]*)(\?.*)?", self.path):
            files, prefix = self.server.files.get(match[1], {}), f"{match[2]}/" if match[2] else ""
            below = [path.removeprefix(prefix) for path in files if path.startswith(prefix)]
            folders = sorted({path.split("/")[0] for path in below if "/" in path})
            found = [{"type": "directory", "path": prefix + name, "oid": "0" * 40} for name in folders]
            found += [self.entry(prefix + path, files) for path in below if "/" not in path]
            return self.say(200, found)
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path):
            content = self.server.files.get(match[1], {}).get(match[2])
            if content is not None:
                return self.send(200, content, {"ETag": '"e"', "X-Repo-Commit": COMMIT})
        return self.say(404, {"error": self.path}, {"X-Error-Code": "EntryNotFound"})

    do_HEAD = do_GET  # noqa: N815

    @staticmethod
    def entry(path: str, files: dict[str, bytes]) -> dict[str, object]:
        return {"type": "file", "path": path, "size": len(files[path]), "oid": "0" * 40}

    def say(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        self.send(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        return None


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub without repositories, which huggingface_hub is told to use."""
    import huggingface_hub.constants as constants
    from huggingface_hub import HfFileSystem

    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LSD_HOME", str(tmp_path / "home"))
    HfFileSystem.clear_instance_cache()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def sampler(make_card, tiny_backbone) -> LoadedSampler:
    return LoadedSampler(make_card(), tiny_backbone)


def test_what_is_pushed_is_loaded_from_anywhere(hub: Hub, sampler: LoadedSampler) -> None:
    url = push(sampler, "someone/tiny-nfe2")
    assert url == "hf://someone/tiny-nfe2"
    assert len(hub.commits) == 1
    loaded = load_sampler(url)  # neither store nor cache knows the weights
    assert loaded.card == sampler.card
    assert torch.equal(loaded.sample(8, seed=1), sampler.sample(8, seed=1))


def test_the_repository_explains_itself(hub: Hub, sampler: LoadedSampler) -> None:
    push(sampler, "someone/tiny-nfe2")
    files = hub.files["someone/tiny-nfe2"]
    weights = f"backbones/{sampler.backbone.fingerprint}.safetensors"
    assert {"card.json", "README.md", weights} <= set(files)
    page = files["README.md"].decode()
    assert page.startswith("---\nlibrary_name: lsd-samplers\n")
    assert 'load_sampler("hf://someone/tiny-nfe2")' in page
    assert files["card.json"].decode() == sampler.card.to_json()


def test_a_changed_weight_is_refused(hub: Hub, sampler: LoadedSampler, tmp_path: Path) -> None:
    from lsd_core.backbones import storage
    from lsd_core.backbones.countdown_chain import exact_backbone

    url = push(sampler, "someone/tiny-nfe2")
    other = exact_backbone("tiny", length=6, num_values=5)
    key = f"backbones/{sampler.backbone.fingerprint}.safetensors"
    hub.files["someone/tiny-nfe2"][key] = storage.to_bytes(other)
    with pytest.raises(InputError, match=f"fingerprint .* must be {sampler.backbone.fingerprint}"):
        load_sampler(url)


def test_what_the_hub_refuses_is_one_line(hub: Hub, sampler: LoadedSampler, monkeypatch) -> None:
    with pytest.raises(InputError, match="repository must be OWNER/NAME on the hub, got tiny"):
        push(sampler, "tiny")
    monkeypatch.setenv("HF_TOKEN", "wrong")
    with pytest.raises(InputError, match=r"repository someone/tiny must accept the sampler, .*401.*HF_TOKEN"):
        push(sampler, "someone/tiny")
    with pytest.raises(InputError, match="hf://someone/nothing"):
        load_sampler("hf://someone/nothing")
