"""The store: a folder or any fsspec URL that holds what is published, read and written by key.

A key is a relative path with forward slashes. A file appears whole or not at all, and credentials
come from the environment or the cloud's identity, never from the URL. A folder may be a link to a store; through links
inside it nothing is written or removed.
"""

import errno
import fcntl
import hashlib
import os
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from lsd_core.errors import InputError, Unreachable
from lsd_core.numerics.canonical import canonical_json
from lsd_core.numerics.plain_text import parse_json
from lsd_core.storage.recent import Recent

_THREADS = threading.RLock()
_SCRATCH = ".scratch"  # local files in the making, on the same disk as their destination
_LOCAL = ("file", "local")
_USER_IN_URL = ("abfs", "abfss", "sftp", "ssh", "hdfs")  # here user@host names a place; a password never does
_OPTIONS: dict[str, dict[str, Any]] = {"s3": {"default_cache_type": "none", "use_listings_cache": False}}
_REMEDIES = {
    "s3": "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), AWS_DEFAULT_REGION and, "
    "off AWS, AWS_ENDPOINT_URL; the bucket must exist",
    "gs": "check GOOGLE_APPLICATION_CREDENTIALS; the bucket must exist",
    "hf": "check HF_TOKEN (for a private repository) and HF_ENDPOINT; install huggingface_hub",
    "abfs": "check AZURE_STORAGE_CONNECTION_STRING; the container must exist",
}
_CHECKSUMS = "checksum|content-?sha256|x-amz-trailer|missingcontentlength|aws-chunked"
_NO_CHECKSUMS = (
    "set AWS_REQUEST_CHECKSUM_CALCULATION=when_required and AWS_RESPONSE_CHECKSUM_VALIDATION=when_required: "
    "the server does not know the newer checksums"
)
_PASSING = {
    "ConnectionError",
    "TimeoutError",
    "HTTPClientError",
    "ClientConnectionError",
    "ClientPayloadError",
}
_PASSING_CODES = {
    errno.EBUSY,
    errno.EAGAIN,
    errno.EIO,
    getattr(errno, "EREMOTEIO", errno.EIO),
    errno.ETIMEDOUT,
}
_REFUSALS = (errno.EINVAL, errno.EBUSY, errno.ENOSYS)
"""How s3fs passes on a server's refusal of a condition: 412, 409 or 400, and 501 of one that has no conditions."""
_ALIASES = {"s3a": "s3", "gcs": "gs", "abfss": "abfs", "az": "abfs"}


@dataclass(frozen=True)
class Store:
    """A place for published files. Pickles as its URL alone: no connection and no secret travels.

    Raises InputError for a URL that carries credentials or a query, an unknown protocol, and, from every
    method, for a store that cannot be reached or refuses. A missing key raises FileNotFoundError.
    """

    url: str

    def __post_init__(self) -> None:
        scheme, mark, rest = self.url.partition("://")
        if not mark or scheme in _LOCAL:
            path = rest if mark else self.url
            if not path:
                raise InputError("store", "be a folder or a URL", self.url)
            object.__setattr__(self, "url", os.path.abspath(os.path.expanduser(path)))
            return
        place, at, _ = rest.rpartition("@")
        if "?" in rest or (at and (scheme not in _USER_IN_URL or re.search("[:/]", place))):
            remedy = (
                "put credentials in the environment (AWS_ACCESS_KEY_ID, ...) and leave them out of the URL"
            )
            raise InputError("store", "be a URL without credentials or a query", redacted(self.url), remedy)
        if self._kind not in fsspec.available_protocols():
            raise InputError(
                "store", "be a folder or a URL of one known protocol", self.url, "for example s3://bucket/lsd"
            )
        object.__setattr__(self, "url", self.url.rstrip("/"))

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return Store, (self.url,)

    @cached_property
    def memory(self) -> Recent:
        """What this object's user has read last of files that never change, by key. On S3 a read is a request."""
        return Recent()

    @property
    def is_local(self) -> bool:
        """True for a folder on this machine."""
        return "://" not in self.url

    def locate(self, key: str) -> str:
        """The full path or URL of a key, to show to people."""
        return f"{self.url}/{key}"

    def exists(self, key: str) -> bool:
        """True if the key holds a file."""
        with self._explained():
            return self._holds(self._path(key))

    def read_bytes(self, key: str) -> bytes:
        """The whole content of a file."""
        with self._explained():
            return self._fs.cat_file(self._path(key))

    def download(self, key: str, path: Path) -> None:
        """Copy a file onto this machine, piece by piece."""
        with self._explained():
            self._fs.get_file(self._path(key), str(path))

    def read_json(self, key: str) -> Any:
        """The content of a JSON file; raises InputError where it is none."""
        return parse_json(self.read_bytes(key), self.locate(key), "hold JSON")

    def write_bytes(self, key: str, data: bytes) -> None:
        """Publish a file whole or not at all: scratch, fsync and rename locally; remotely one PUT (or one
        completed multipart upload). The last of several writers wins."""
        with self._explained():
            if self.is_local:
                self._write_local(self._own(key), data)
            else:
                self._fs.pipe_file(self._path(key), data)

    def write_new(self, key: str, data: bytes) -> None:
        """Publish a file that the caller did not find, under a name that carries its content's hash.

        Locally the first of several writers wins. A remote store may be given the same bytes twice: creation that
        excludes others is what real servers get wrong under races, and here it is not needed.
        """
        with self._explained():
            if self.is_local:
                self._write_local(self._own(key), data, exclusive=True)
            else:
                self._fs.pipe_file(self._path(key), data)

    def write_json(self, key: str, value: Any) -> None:
        """Publish canonical JSON."""
        self.write_bytes(key, canonical_json(value).encode())

    def read_version(self, key: str) -> tuple[bytes | None, str | None]:
        """A file's content, None if there is none, and on S3 the ETag of that content or of an earlier one."""
        with self._explained():
            path, tag = self._path(key), None
            try:
                if self._kind == "s3":
                    tag = self._fs.info(path, refresh=True).get("ETag")
                return self._fs.cat_file(path), tag
            except FileNotFoundError:
                return None, None

    def write_version(self, key: str, data: bytes, tag: str | None) -> bool:
        """Replace the content with this ETag, or none, and nothing else; False if another is there by now.

        Only S3 has such a condition, and not every server of it looks at it.
        """
        if self._kind != "s3":
            self.write_bytes(key, data)
            return True
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        with self._explained():
            try:
                self._fs.pipe_file(self._path(key), data, **condition)
            except (FileExistsError, FileNotFoundError):
                return False
            except OSError as error:
                if error.errno in _REFUSALS or "ConditionalRequestConflict" in str(error):
                    return False
                raise
        return True

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Exclude others who lock the key: threads, and on a folder processes of this machine."""
        with _THREADS:
            if not self.is_local:
                yield
                return
            name = f"lock-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
            with self._explained():
                handle = os.open(self._scratch() / name, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                os.utime(handle)  # so that it is not swept
                yield
            finally:
                os.close(handle)

    def list(self, prefix: str = "") -> list[str]:
        """Keys of all files in and below a folder, sorted; of a file its own key alone."""
        with self._explained():
            root = self._path("")
            try:
                paths = self._fs.find(self._path(prefix))
            except FileNotFoundError:
                return []
        keys = (path[len(root) :].lstrip("/") for path in paths if not path.endswith("/"))
        return sorted(key for key in keys if key and not key.startswith(_SCRATCH + "/"))

    def modified(self, key: str) -> float:
        """When a file was last written, in seconds since 1970."""
        with self._explained():
            return self._fs.modified(self._path(key)).timestamp()

    def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""
        with self._explained():
            try:
                self._fs.rm_file(str(self._own(key)) if self.is_local else self._path(key))
            except FileNotFoundError:
                return

    def check(self, writable: bool = True) -> None:
        """Raise InputError, naming the URL and the credential variables, unless the store can be used.

        A new folder is created inside an existing one. Costs one write, one read and one delete, or one
        listing if it need not be writable.
        """
        if not writable:
            with self._explained(missing_is_error=True):
                self._fs.ls(self._path(""))
            return
        key, text = f"check-{uuid.uuid4().hex}", b"written by a check; safe to delete"
        with self._explained(missing_is_error=True):
            for path in Path(self.url).glob("*") if self.is_local else ():
                self._check_folder(path)
            self.write_bytes(key, text)
            same = self.read_bytes(key) == text
            self.delete(key)
        if not same:
            raise InputError("store", "read back what was written", self.url)

    def sweep(self, before: float) -> None:
        """Remove local scratch files last touched before a time (seconds since 1970)."""
        scratch = Path(self.url, _SCRATCH)
        mine = self.is_local and scratch.is_dir() and not scratch.is_symlink()
        for path in scratch.iterdir() if mine else ():
            if path.lstat().st_mtime < before:
                path.unlink(missing_ok=True)

    @property
    def _kind(self) -> str:
        protocol = "file" if self.is_local else self.url.partition("://")[0]
        return _ALIASES.get(protocol, protocol)

    @cached_property
    def _fs(self) -> Any:
        """The file system, built from the environment in the process that uses it."""
        kind = self._kind
        try:
            return fsspec.filesystem(kind, skip_instance_cache=kind in _REMEDIES, **_OPTIONS.get(kind, {}))
        except ImportError as error:
            raise InputError("store", "use a protocol that is installed", self.url, str(error)) from None

    def _path(self, key: str) -> str:
        parts = PurePosixPath(key)
        if parts.is_absolute() or ".." in parts.parts:
            raise InputError("key", "be a relative path inside the store", key)
        return f"{self._fs._strip_protocol(self.url)}/{key}".rstrip("/")

    def _own(self, key: str) -> Path:
        """The path of a key that is written or removed: what a link in a store leads to is somebody else's."""
        path = Path(self._path(key))
        if path.parent.resolve() != Path(self.url).resolve() / Path(key).parent:
            rule, remedy = "lie in the store itself", "put its folder in the place of the link"
            raise InputError(self.locate(key), rule, f"a link that leads to {path.parent.resolve()}", remedy)
        return path

    def _check_folder(self, path: Path) -> None:
        """Raise InputError for a link or another disk where a run will write: a file is renamed from scratch."""
        if path.is_dir():
            self._own(f"{path.name}/name")
            if path.stat().st_dev != Path(self.url).stat().st_dev:
                rule, remedy = "lie on the disk of its store", "have the whole store on one disk"
                raise InputError(str(path), rule, "a folder of another disk", remedy)

    def _holds(self, path: str) -> bool:
        """Whether a file is there: on S3 one request, where s3fs's `exists` lists the folder after each miss."""
        if self._kind == "s3":
            try:
                self._fs.cat_file(path, start=0, end=1)
                return True
            except FileNotFoundError:
                return False
            except OSError:
                pass  # an empty file has no first byte; anything else is raised again below
        return bool(self._fs.exists(path))

    def _scratch(self) -> Path:
        """The folder of local files in the making."""
        root = Path(self.url)
        if not root.parent.is_dir():
            raise InputError(
                "store", "be a folder inside an existing one", self.url, f"make {root.parent} first"
            )
        scratch = self._own(f"{_SCRATCH}/name").parent
        scratch.mkdir(parents=True, exist_ok=True)
        return scratch

    def _write_local(self, path: Path, data: bytes, exclusive: bool = False) -> None:
        scratch = self._scratch() / uuid.uuid4().hex
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(scratch, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if not (exclusive and _linked(scratch, path)):
                os.replace(scratch, path)
        finally:
            with suppress(OSError):  # the first error says why
                scratch.unlink(missing_ok=True)
        _sync_folder(path.parent)

    @contextmanager
    def _explained(self, missing_is_error: bool = False) -> Iterator[None]:
        """Turn what a file system raises into one line that names the store and the remedy."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            if isinstance(error, FileNotFoundError) and not missing_is_error:
                raise
            remedy = _REMEDIES.get(self._kind, "check that it exists and may be written to")
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                remedy = "free some room and run the same command again: what was published stays"
            if self._kind == "s3" and re.search(_CHECKSUMS, str(error), re.IGNORECASE):
                remedy = _NO_CHECKSUMS
            reason = " ".join(_reason(error).split())[:200]
            value = f"{self.url} ({type(error).__name__}: {reason})"
            kind = Unreachable if _may_pass(error) else InputError
            raise kind("store", "be reachable and allow this", value, remedy) from None


def _reason(error: Exception) -> str:
    """What went wrong, and of several paths the one that was to be written."""
    path = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return (
        f"{error.strerror}: {path}" if isinstance(error, OSError) and error.strerror and path else str(error)
    )


def _may_pass(error: Exception) -> bool:
    """Whether a file system's error is the network's or a busy server's, and not ours.

    Clients of object stores raise what their HTTP libraries do, so the families are known by name.
    """
    families = {kind.__name__ for kind in type(error).__mro__}
    return bool(
        families & _PASSING
        or (isinstance(error, OSError) and getattr(error, "errno", None) in _PASSING_CODES)
    )


def redacted(url: str) -> str:
    """The URL without what may be secret: all before the last @, and the query."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    _, at, place = rest.rpartition("@")
    return f"{scheme}://{'***@' if at else ''}{place.partition('?')[0]}" + ("?***" if "?" in place else "")


def _linked(scratch: Path, path: Path) -> bool:
    """Whether a finished file has its name now, its own or another's; False on a disk without hard links."""
    try:
        os.link(scratch, path)
    except FileExistsError:
        return True
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
