"""Configuration and rings of Swift, for one device on loopback."""

import json
import os
import pwd
import secrets
import subprocess
from pathlib import Path

from infra.stack.packages import StackError, clean_environment

BACKENDS = ("account", "container", "object")
ACCESS_KEY = "lsd:lsd"  # account:user, as tempauth names people
_DEVICE = "disk"
# The order that s3api asks for; without memcached nothing remembers tokens, and S3 requests carry none.
_PIPELINE = (
    "catch_errors gatekeeper healthcheck listing_formats s3api tempauth bulk slo dlo copy proxy-server"
)
_MAKE_RINGS = """
import json, sys
from swift.common.ring import RingBuilder
folder, device, ports = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
for name, port in ports.items():
    ring = RingBuilder(4, 1, 1)
    ring.add_dev(dict(id=0, region=1, zone=1, weight=1.0, ip="127.0.0.1", port=port, device=device, meta="",
                      replication_ip="127.0.0.1", replication_port=port))
    ring.rebalance(seed=1)
    ring.get_ring().save(f"{folder}/{name}.ring.gz")
"""


def write_files(home: Path, bin_folder: Path, ports: dict[str, int], secret_key: str) -> None:
    """Configuration and rings in `home/etc`; what is stored lies in `home/data` and outlives a restart."""
    etc, data = home / "etc", home / "data"
    (data / _DEVICE).mkdir(parents=True, exist_ok=True)
    etc.mkdir(exist_ok=True)
    _check_xattrs(data)
    common = etc / "swift.conf"
    if not common.exists():  # objects are filed under a hash with this suffix
        _write(common, f"[swift-hash]\nswift_hash_path_suffix = {secrets.token_hex(8)}\n")
    for name in BACKENDS:
        _write(etc / f"{name}.conf", _backend(name, ports[name], etc, data))
    _write(etc / "proxy.conf", _proxy(ports["proxy"], etc, secret_key))
    backends = json.dumps({name: ports[name] for name in BACKENDS})
    command = [str(bin_folder / "python"), "-c", _MAKE_RINGS, str(etc), _DEVICE, backends]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), check=False)
    if done.returncode:
        raise StackError(f"swift's rings could not be made: {done.stderr.strip().splitlines()[-1:]}")


def _backend(name: str, port: int, etc: Path, data: Path) -> str:
    return f"""{_default(port, etc)}
devices = {data}
mount_check = false
[pipeline:main]
pipeline = healthcheck {name}-server
[app:{name}-server]
use = egg:swift#{name}
[filter:healthcheck]
use = egg:swift#healthcheck
"""


def _proxy(port: int, etc: Path, secret_key: str) -> str:
    filters = "".join(
        f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in _PIPELINE.split()[:-1] if name != "tempauth"
    )
    return f"""{_default(port, etc)}
[pipeline:main]
pipeline = {_PIPELINE}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
{filters}[filter:tempauth]
use = egg:swift#tempauth
user_{ACCESS_KEY.replace(":", "_")} = {secret_key} .admin
"""


def _default(port: int, etc: Path) -> str:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise StackError(f"swift needs the user {os.getuid()} to have a name in the password file") from None
    return (
        f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nuser = {user}\nswift_dir = {etc}\n"
        "log_level = WARNING"
    )


def _write(path: Path, text: str) -> None:
    """For its owner's eyes only: one of them holds a secret."""
    path.touch(mode=0o600)
    path.write_text(text)


def _check_xattrs(folder: Path) -> None:
    probe = folder / ".xattr"
    probe.touch()
    try:
        os.setxattr(probe, "user.lsd", b"1")
    except OSError as error:
        raise StackError(f"swift needs a disk with extended attributes, {folder} has none: {error}") from None
    finally:
        probe.unlink()
