"""Ray jobs by name: submitted once under a name, and again only after a failure."""

from dataclasses import dataclass
from typing import Any

from lsd_core.errors import InputError

DONE_OR_UNDER_WAY = ("PENDING", "RUNNING", "SUCCEEDED")


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """The outcome of a submission."""

    name: str
    status: str
    """Ray's: PENDING, RUNNING, SUCCEEDED."""
    new: bool
    """False where the job was there already."""


class Jobs:
    """The jobs of a cluster, through its dashboard. A token comes from RAY_AUTH_TOKEN, with RAY_AUTH_MODE=token."""

    def __init__(self, address: str) -> None:
        from ray.exceptions import RayError
        from ray.job_submission import JobSubmissionClient

        try:
            self._client = JobSubmissionClient(address)
        except (ConnectionError, RuntimeError, RayError) as error:
            remedy = "name the dashboard, such as http://127.0.0.1:8265, and set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                "address", "be a Ray dashboard that lets us in", f"{address} ({reason})", remedy
            ) from None

    def submit(
        self, name: str, entrypoint: str, runtime_env: dict[str, Any] | None = None, label: str = ""
    ) -> Submitted:
        """Have a command run under this name; after a job that failed or was stopped, under the name with `-try2`
        and so on, so that its log is kept.

        The runtime env is stored and shown by the cluster: no secret may be in it.
        """
        attempt = 1
        while True:
            own = name if attempt == 1 else f"{name}-try{attempt}"
            status = self.status(own)
            if status in DONE_OR_UNDER_WAY:
                return Submitted(name=own, status=str(status), new=False)
            if status is None:
                break
            attempt += 1
        try:
            self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=own,
                runtime_env=runtime_env or {},
                metadata={"label": label or own},
            )
        except RuntimeError as error:
            if "already exists" not in str(error):
                raise
            return Submitted(name=own, status=self.status(own) or "PENDING", new=False)
        return Submitted(name=own, status="PENDING", new=True)

    def status(self, name: str) -> str | None:
        """What a job is at; None where there is none of that name."""
        try:
            return str(self._client.get_job_status(name).value)
        except RuntimeError as error:
            if "404" in str(error) or "does not exist" in str(error):
                return None
            raise

    def log(self, name: str) -> str:
        """What a job printed so far."""
        return str(self._client.get_job_logs(name))
