"""The package's evaluation of policies beside MiniStack's, on policies that neither was written for."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynamo_opensearch.core.preflight.policies.documents import Request, statements_of
from dynamo_opensearch.core.preflight.policies.evaluation import Verdict, evaluate
from tests.support.random_policies import ACTIONS, RESOURCES, documents
from tests.support.ready_environment import NO_MATTER_WHOSE, aws_client
from tools.local.processes import Server

DECISIONS = {
    "allowed": Verdict.ALLOWED,
    "explicitDeny": Verdict.DENIED,
    "implicitDeny": Verdict.NOT_ALLOWED,
}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    policies=st.lists(documents(with_conditions=False), min_size=1, max_size=3),
    resource=st.sampled_from(RESOURCES),
)
def test_both_come_to_the_same(ministack_server: Server, policies: list[dict[str, Any]], resource: str) -> None:
    iam = aws_client(ministack_server.url, "iam", "maker", NO_MATTER_WHOSE)
    answer = iam.simulate_custom_policy(
        PolicyInputList=[json.dumps(one) for one in policies], ActionNames=list(ACTIONS), ResourceArns=[resource]
    )
    read = tuple(one for document in policies for one in statements_of(document, "test"))
    for result in answer["EvaluationResults"]:
        request = Request(action=result["EvalActionName"], resource=resource)
        assert evaluate(read, request).verdict is DECISIONS[result["EvalDecision"]], result
