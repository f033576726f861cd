"""Chromium without a window, asked through its DevTools protocol: what a page logs and how large its parts are."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CONNECT: dict[str, Any] = {"max_size": None, "open_timeout": 30, "proxy": None}


@dataclass
class Browser:
    """One tab."""

    socket: ClientConnection
    complaints: list[str] = field(default_factory=list)
    """What the console and the network had to say."""
    requests: list[str] = field(default_factory=list)
    _last: int = 0

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its answer; events on the way are noted."""
        self._last += 1
        self.socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=60))
            if message.get("id") == self._last:
                assert "error" not in message, message
                return dict(message["result"])
            self._note(message)

    def open(self, page: Path | str, width: int, height: int = 900) -> None:
        """Load a page, a file or an address, in a screen of this size."""
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.ask(f"{domain}.enable")
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.ask("Page.navigate", url=page if isinstance(page, str) else page.absolute().as_uri())
        deadline = time.monotonic() + 60
        while self.value("document.readyState") != "complete" and time.monotonic() < deadline:
            time.sleep(0.05)

    def value(self, expression: str) -> Any:
        """What a piece of JavaScript comes to."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Log.entryAdded":
                entry = params["entry"]
                self.complaints.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled":
                self.complaints.append(str(params))
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"][:200])


@dataclass(frozen=True)
class Chromium:
    """A running Chromium."""

    port: int

    @contextmanager
    def tab(self) -> Iterator[Browser]:
        """A tab of a profile of its own, which is gone at the end: nothing is kept from one to the next."""
        with connect(self._told("version")["webSocketDebuggerUrl"], **CONNECT) as socket:
            whole = Browser(socket)
            profile = whole.ask("Target.createBrowserContext")["browserContextId"]
            tab = whole.ask("Target.createTarget", url="about:blank", browserContextId=profile)["targetId"]
            try:
                with connect(f"ws://127.0.0.1:{self.port}/devtools/page/{tab}", **CONNECT) as page:
                    yield Browser(page)
            finally:
                whole.ask("Target.disposeBrowserContext", browserContextId=profile)

    def frames(self) -> list[str]:
        """The DevTools address of each frame that has a process of its own."""
        return [each["webSocketDebuggerUrl"] for each in self._told("list") if each["type"] == "iframe"]

    def _told(self, what: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json/{what}", timeout=30) as answer:
            return json.load(answer)


@contextmanager
def started(program: str, scratch: Path) -> Iterator[Chromium]:
    """A fresh Chromium, its files in a folder; gone with its children at the end."""
    command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += ["--remote-debugging-port=0", f"--user-data-dir={scratch}", "about:blank"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield Chromium(_port(scratch / "DevToolsActivePort", process))
    finally:
        with suppress(ProcessLookupError):  # asked to end it may take 10 s, and it has nothing to save
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if file.is_file() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.05)
    raise RuntimeError(f"Chromium did not open its port (exit code {process.poll()})")
