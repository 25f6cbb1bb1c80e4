"""What a role may do, by IAM's own simulator where it may be asked, else by the documents."""

from collections.abc import Iterable, Mapping
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.preflight.policies.documents import Request
from dynamo_opensearch.core.preflight.policies.evaluation import Decision, Policies, Verdict, decide
from dynamo_opensearch.core.preflight.policies.reading import pages, read_policies

_VERDICTS = {
    "allowed": Verdict.ALLOWED,
    "explicitDeny": Verdict.DENIED,
    "implicitDeny": Verdict.NOT_ALLOWED,
}
_SIMULATED_KEYS = {"aws:securetransport": "boolean", "aws:requestedregion": "string"}
_MOST_ACTIONS = 50


class RoleRights:
    """What one role may do. ``role``: GetRole's ``Role``. Asks IAM as little as it can, and remembers."""

    def __init__(self, aws: ControlPlane, role: dict[str, Any]) -> None:
        self._aws, self._role = aws, role
        self._policies: Policies | None = None
        self._denied: AccessDeniedError | None = None

    @property
    def by(self) -> str:
        """Who decided."""
        return "IAM's simulator" if self._denied is None else "the policies' documents"

    @property
    def policies(self) -> Policies:
        """The documents, read when they are first needed.

        Raises:
            AccessDeniedError: neither they nor the simulator may be asked; that of the simulator goes first.
        """
        if self._policies is None:
            try:
                self._policies = read_policies(self._aws, self._role)
            except AccessDeniedError as error:
                raise self._denied or error from error
        return self._policies

    def decide(self, actions: Iterable[str], resource: str, context: Mapping[str, str]) -> dict[str, Decision]:
        """A decision for each action on one resource.

        Raises:
            AccessDeniedError: neither the simulator nor the documents may be asked.
        """
        asked = list(dict.fromkeys(actions))
        if self._denied is None:
            try:
                return self._simulated(asked, resource, context)
            except AccessDeniedError as error:
                self._denied = error
        return {action: self._read(action, resource, context) for action in asked}

    def _read(self, action: str, resource: str, context: Mapping[str, str]) -> Decision:
        return decide(self.policies, Request(action=action, resource=resource, context=context))

    def _simulated(self, actions: list[str], resource: str, context: Mapping[str, str]) -> dict[str, Decision]:
        arn = self._role["Arn"]
        decisions: dict[str, Decision] = {}
        for start in range(0, len(actions), _MOST_ACTIONS):
            results = pages(
                self._aws,
                "simulate_principal_policy",
                "EvaluationResults",
                arn,
                PolicySourceArn=arn,
                ActionNames=actions[start : start + _MOST_ACTIONS],
                ResourceArns=[resource],
                ContextEntries=_entries(context),
            )
            for result in results:
                action = result["EvalActionName"]
                decisions[action] = self._judged(result, action, resource, context)
        return decisions

    def _judged(self, result: dict[str, Any], action: str, resource: str, context: Mapping[str, str]) -> Decision:
        verdict = _VERDICTS[result["EvalDecision"]]
        if verdict is Verdict.DENIED or not result.get("MissingContextValues"):
            return Decision(verdict=verdict)
        # The simulator takes a key that it was not given for absent; the documents tell what hangs on it. What they
        # allow and the simulator does not is forbidden by the organisation.
        read = self._read(action, resource, context)
        is_forbidden = verdict is Verdict.NOT_ALLOWED and read.verdict is Verdict.ALLOWED
        return Decision(verdict=verdict) if is_forbidden else read


def _entries(context: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the simulator must be told; who the role is it knows."""
    return [
        {"ContextKeyName": key, "ContextKeyValues": [context[key]], "ContextKeyType": kind}
        for key, kind in _SIMULATED_KEYS.items()
        if key in context
    ]
