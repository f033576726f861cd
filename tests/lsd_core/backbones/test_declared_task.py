"""The task that a weight file declares is a name, or the file is refused."""

from typing import Any

import pytest

from lsd_core.backbones import storage
from lsd_core.errors import InputError


@pytest.mark.parametrize("task", ["", "../x", "<b>", ["digits"], {"a": 1}, 3, True, "x" * 65])
def test_what_is_no_name_is_no_task(tiny_backbone: Any, task: object) -> None:
    data = storage.to_bytes(tiny_backbone, {"task": task})
    with pytest.raises(InputError, match="task in given must be a name of ASCII letters"):
        storage.from_bytes(data, "given")
