"""Whom a run acts as, and on what: the first line of its log."""

from dataclasses import asdict, dataclass
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane
from dynamo_opensearch.core.preflight.side import Side


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Account, and the ARN of a role's session or of a user."""

    account: str
    arn: str


@dataclass(frozen=True, kw_only=True)
class ActingAs:
    """Account, caller (the ARN of a role's session, or of a user), region, OpenSearch's URL and environment.

    What could not be found out is None; then ``unknown`` has the reason, by the field's name.
    """

    account: str | None
    caller: str | None
    region: str | None
    endpoint: str | None
    environment: str
    unknown: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return {name: value for name, value in asdict(self).items() if name != "unknown"}

    def __str__(self) -> str:
        who = f"account {self.account} as {self.caller}" if self.account else f"an account {self._not_known('account')}"
        where = f"in {self.region}" if self.region else "in a region that is not known"
        what = self.endpoint or f"an address {self._not_known('endpoint')}"
        return f"acts on {who} {where}, and on OpenSearch at {what}; environment {self.environment}"

    def _not_known(self, field: str) -> str:
        reason = self.unknown.get(field)
        return f"that is not known ({reason})" if reason else "that is not known"


def caller_of(aws: ControlPlane) -> Caller:
    """As AWS knows the caller. No credential is in it.

    Raises:
        AccessDeniedError: there are no credentials, or they are refused.
        ServiceUnavailableError: STS went on failing.
    """
    caller = aws.ask("sts", "get_caller_identity", "the caller")
    return Caller(account=str(caller["Account"]), arn=str(caller["Arn"]))


def acting_as(side: Side) -> ActingAs:
    """Whom an environment is looked at as.

    Raises:
        AccessDeniedError, ServiceUnavailableError: as ``caller_of``.
    """
    caller = caller_of(side.aws)
    return ActingAs(
        account=caller.account,
        caller=caller.arn,
        region=side.region,
        endpoint=side.endpoint,
        environment=side.name,
        unknown={},
    )
