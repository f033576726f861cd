"""Options of every flow of ours, in a file that Prefect can import for a flow's hooks without torch or Ray."""

from typing import Any

from flows.pipeline.state_hooks import close_cancelled, close_crashed

OPTIONS: dict[str, Any] = {
    "persist_result": False,
    "result_serializer": "json",  # nothing at rest is pickled, whatever a server's settings say
    "on_cancellation": [close_cancelled],
    "on_crashed": [close_crashed],
}
