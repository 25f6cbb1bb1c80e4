"""Whom a run acts as, and on what: the first line of its log."""

from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.preflight.side import Side


@dataclass(frozen=True, kw_only=True)
class ActingAs:
    """Account, caller (the ARN of a role's session, or of a user), region, OpenSearch's URL and environment."""

    account: str
    caller: str
    region: str
    endpoint: str
    environment: str

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return {
            "account": self.account,
            "caller": self.caller,
            "region": self.region,
            "endpoint": self.endpoint,
            "environment": self.environment,
        }

    def __str__(self) -> str:
        return (
            f"acts on account {self.account} as {self.caller} in {self.region}, and on OpenSearch at {self.endpoint}; "
            f"environment {self.environment}"
        )


def acting_as(side: Side) -> ActingAs:
    """As AWS knows the caller. No credential is in it.

    Raises:
        AccessDeniedError: there are no credentials, or they are refused.
        ServiceUnavailableError: STS went on failing.
    """
    caller = side.aws.ask("sts", "get_caller_identity", "the caller")
    return ActingAs(
        account=str(caller["Account"]),
        caller=str(caller["Arn"]),
        region=side.region,
        endpoint=side.endpoint,
        environment=side.name,
    )
