"""A proxy in front of an object store that can be told to misbehave: refuse some requests, hold others back."""

import contextlib
import http.client
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


class Hold:
    """PUT requests of matching paths wait here."""

    def __init__(self, pattern: str) -> None:
        self.pattern = re.compile(pattern)
        self.reached = threading.Event()
        """Set once one waits."""
        self.released = threading.Event()


class FaultProxy:
    """Forwards everything, signatures included, until told otherwise."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.refused = 0
        self._share, self._random = 0.0, random.Random(0)
        self._hold: Hold | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def refusing(self, share: float) -> Iterator[None]:
        """Answer this share of the requests with 503."""
        self._share, self.refused = share, 0
        try:
            yield
        finally:
            self._share = 0.0

    @contextmanager
    def holding(self, pattern: str) -> Iterator[Hold]:
        """Hold back PUTs of matching paths until the end of the block, or of the client."""
        self._hold = hold = Hold(pattern)
        try:
            yield hold
        finally:
            self._hold = None
            hold.released.set()

    def refuses(self) -> bool:
        if self._random.random() >= self._share:
            return False
        self.refused += 1
        return True

    def wait(self, method: str, path: str) -> bool:
        """Whether the request was held back; one that was is not forwarded: its client may be gone."""
        hold = self._hold
        if hold is None or method != "PUT" or not hold.pattern.search(path):
            return False
        hold.reached.set()
        hold.released.wait()
        return True


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if proxy.wait(self.command, self.path) or proxy.refuses():
                self.reply(503, [("Content-Type", "application/xml")], SLOW_DOWN)
                return
            upstream = http.client.HTTPConnection(proxy.upstream.hostname or "", proxy.upstream.port)
            try:
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() != "expect":
                        upstream.putheader(name, value)
                upstream.endheaders(body)
                answer = upstream.getresponse()
                self.reply(answer.status, answer.getheaders(), answer.read())
            finally:
                upstream.close()

        def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            length = str(len(body))
            for name, value in headers:
                if self.command == "HEAD" and name.lower() == "content-length":
                    length = value
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            with contextlib.suppress(ConnectionError):  # a client that was killed while it waited
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
