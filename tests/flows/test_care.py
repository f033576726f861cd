"""`lsd verify` as it is typed."""

from pathlib import Path

import pytest

from flows.cli import main
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.publish import publish
from lsd_core.storage.store import Store


def verified(url: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["verify", url])
    return int(ended.value.code or 0)


def test_damaged_weights_are_named_and_a_sound_store_is_not_blamed(
    tmp_path: Path, lsd_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(str(tmp_path / "store"))
    key = publish(load_backbone("countdown-exact"), store)
    assert verified(store.url) == 0
    assert "no bad file" in capsys.readouterr().out
    store.write_bytes(key, store.read_bytes(key)[:-1] + b"!")
    assert verified(store.url) == 1
    printed = capsys.readouterr().out
    assert store.locate(key) in printed
    assert "1 bad" in printed
