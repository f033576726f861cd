"""What a machine does not have is said before any work, and an interrupted command says how to go on."""

import errno
from pathlib import Path

import pytest
import torch

from flows.cli import main
from flows.config import load_grid
from flows.pipeline.driver import check_places, prepare
from flows.settings import resolve
from lsd_core.errors import InputError
from lsd_core.storage.store import Store


def test_a_gpu_where_there_is_none_is_refused(lsd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private Ray would wait ten minutes for it; a cluster may get one when it is asked for."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr("flows.pipeline.driver.check_address", lambda address: None)
    settings = resolve(env={"LSD_HOME": str(lsd_home)})
    lsd_home.mkdir()
    check_places(settings, 1, with_registry=False)
    with pytest.raises(
        InputError, match=r"num_gpus must be at most the number of GPUs here, 1 .*got 2; leave"
    ):
        prepare(load_grid("tiny", num_gpus=2.0), settings, with_registry=False)
    cluster = resolve(command_line={"ray_address": "10.0.0.1:6379"}, env={"LSD_HOME": str(lsd_home)})
    check_places(cluster, 2, with_registry=False)


def test_more_workers_than_cores_can_serve_are_refused(
    lsd_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.pipeline.driver.cores", lambda: 2)
    monkeypatch.setattr("flows.pipeline.driver.check_address", lambda address: None)
    settings = resolve(env={"LSD_HOME": str(lsd_home)})
    lsd_home.mkdir()
    check_places(settings, workers=4, with_registry=False)
    rule = r"workers must be at most 4 on this machine's 2 cores, got 12, which would take 6 GB; leave it out"
    with pytest.raises(InputError, match=rule):
        prepare(load_grid("tiny", workers=12), settings, with_registry=False)
    cluster = resolve(command_line={"ray_address": "10.0.0.1:6379"}, env={"LSD_HOME": str(lsd_home)})
    check_places(cluster, workers=12, with_registry=False)


def test_ctrl_c_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.cli.app", lambda *_, **__: interrupted())
    with pytest.raises(SystemExit) as left:
        main(["grid", "tiny"])
    assert left.value.code == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to resume\n"


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ENODEV, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
def test_a_store_that_goes_away_is_one_line_and_leaves_no_half_file(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path / "store"))
    store.write_bytes("cells/a/card.json", b"whole")

    def gone(handle: int) -> None:
        raise OSError(number, "gone", str(tmp_path / "store"))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", gone)
        with pytest.raises(InputError) as caught:
            store.write_bytes("cells/a/card.json", b"other")
    assert str(caught.value).isprintable()
    assert str(caught.value).count("must") == 1
    assert len(str(caught.value)) < 600
    assert store.read_bytes("cells/a/card.json") == b"whole"
    assert store.list() == ["cells/a/card.json"]
    assert list((tmp_path / "store" / ".scratch").iterdir()) == []
    store.write_bytes("cells/a/card.json", b"other")  # once it is back
