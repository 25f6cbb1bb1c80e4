"""Whether the policies of docs/iam.md cover what a test run has called. The judge is tests/support/policy_oracle.py."""

from pathlib import Path

from tests.support.policy_oracle import is_allowed
from tests.support.ready_environment import ACCOUNT
from tools.iam.calls import Calls, Known, read_records, understand
from tools.iam.committed import ENVIRONMENT, of_the_tests
from tools.iam.names import REQUESTS
from tools.iam.needs import VIA
from tools.iam.page import dag_id
from tools.iam.policies import Document, policy_of
from tools.local.ministack import REGION

OTHERS = {
    REQUESTS: [f"arn:aws:es:{REGION}:{ACCOUNT}:domain/of-the-tests"],
    **{f"<{name}-key>": [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"] for name in ("table", "queue", "reports")},
}
"""What the target files of the tests do not name: local servers are no domain, and encrypt nothing."""


def uncovered(folder: Path, calls: Calls | None = None) -> list[str]:
    """Recorded calls that the DAG's policy does not allow, or of which nobody knows how they are allowed.

    ``calls``: what the policies are made from; those that are committed, where none are given.
    """
    policies: dict[str, Document] = {}
    found: set[str] = set()
    records = list(read_records(folder))
    assert records, "nothing was recorded"
    for record in records:
        try:
            known = understand(record, ENVIRONMENT, of_the_tests(), OTHERS)
        except LookupError as error:
            found.add(str(error))
            continue
        if known is not None:
            key = f"{known.kind} {known.names}"
            if key not in policies:
                policies[key] = policy_of([([known.kind], [known.names])], calls or Calls.committed())
            found |= _missing(known, policies[key])
    return sorted(found)


def _missing(known: Known, policy: Document) -> set[str]:
    return {
        f"{right.action} on {right.resource}, asked for by {known.task or 'it'}, is not in policy "
        f"{dag_id(known.kind, '<target>')}: python -m tools.iam --add --take build/calls"
        for right in known.rights
        if is_allowed([policy], right.action, right.resource, {}) is not True
    }


def context_of(resource: str) -> dict[str, str]:
    """What a service says of itself where it uses a key for the caller. ``resource``: with placeholders."""
    return {"kms:ViaService": f"{VIA[resource]}.<region>.amazonaws.com"} if resource in VIA else {}
