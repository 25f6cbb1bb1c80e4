"""The root of the package's errors: what happened, and whether trying again can help."""

from dynamo_opensearch.core.aws.policies_with import POLICIES_WITH


class SyncError(Exception):
    """Anything that this package refuses or gives up on.

    A *passing* error may be gone when the task is tried again; a *permanent* one needs a person first. Values are
    handed to ``Exception.__init__`` as they came, so that an error survives pickling between processes.
    """

    is_permanent = False


class PermanentError(SyncError):
    """Trying again without a change elsewhere ends the same way."""

    is_permanent = True


class PassingError(SyncError):
    """The same call may succeed later."""


class OfMissingRight:
    """Of an error: an action of IAM's would have allowed it. ``dag_id``: whose task it was; None where nobody knows."""

    dag_id: str | None = None

    @property
    def missing(self) -> str:
        """The action, as IAM calls it."""
        raise NotImplementedError

    @property
    def standing(self) -> str:
        """In which generated policies the action stands: in that of the DAG, where it does."""
        listed = POLICIES_WITH.get(self.missing, ())
        if not listed:
            return "no policy of docs/iam.md has it"
        if self.dag_id is not None and any(_is_of(policy, self.dag_id) for policy in listed):
            return f"it stands in policy {self.dag_id} of docs/iam.md"
        return f"it stands in {', '.join(listed)} of docs/iam.md"


def _is_of(policy: str, dag_id: str) -> bool:
    prefix, target, kind = policy.rpartition("<target>")
    return dag_id == policy if not target else dag_id.startswith(prefix) and dag_id.endswith(kind)


class AccessDeniedError(OfMissingRight, PermanentError):
    """A service refused the caller's identity or its right to an action (HTTP 401 or 403).

    ``resource``: its ARN where the service told it, else its name.
    """

    def __init__(self, service: str, action: str, resource: str, code: str) -> None:
        super().__init__(service, action, resource, code)
        self.service, self.action, self.resource, self.code = service, action, resource, code

    @property
    def missing(self) -> str:
        """The action, as IAM calls it."""
        return self.action

    def __str__(self) -> str:
        return (
            f"{self.service} refused {self.action} on {self.resource!r} ({self.code}). "
            "Check the region and credentials of the connection, and allow this action to its role: "
            f"{self.standing}. Then start again."
        )


class ServiceUnavailableError(PassingError):
    """A service went on failing for longer than one task waits."""

    def __init__(self, service: str, action: str, attempts: int, waited_s: float, last_problem: str) -> None:
        super().__init__(service, action, attempts, waited_s, last_problem)
        self.service, self.action, self.attempts = service, action, attempts
        self.waited_s, self.last_problem = waited_s, last_problem

    def __str__(self) -> str:
        return (
            f"{self.service} did not complete {self.action}: {self.attempts} attempts in {self.waited_s:.0f} s, "
            f"the last one ended with {self.last_problem}. "
            "What was acknowledged is saved; the task's next try goes on from there."
        )
