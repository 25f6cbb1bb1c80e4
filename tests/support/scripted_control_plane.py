"""A control plane that answers from a script, and a side that asks it."""

from typing import Any

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.model import Target
from tests.support.fake_cluster import FakeCluster
from tests.support.fakes import FakeClock, quick_retry

ROLE = "arn:aws:sts::000000000000:assumed-role/airflow-worker/session"


class ScriptedControlPlane:
    """``answers``: by ``service.call``; an exception is raised, a function called. What has no answer is not there."""

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        self.answers: dict[str, Any] = {
            "sts.get_caller_identity": {"Account": "000000000000", "Arn": ROLE, "UserId": "x"},
            **(answers or {}),
        }
        self.asked: list[str] = []

    def ask(self, service: str, call: str, resource: str, /, **arguments: Any) -> dict[str, Any]:
        self.asked.append(f"{service}.{call}")
        answer = self.answers.get(f"{service}.{call}")
        if answer is None:
            raise ResourceMissingError(service, call, resource)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer(**arguments) if callable(answer) else answer)


def scripted_side(
    answers: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    cluster: FakeCluster | None = None,
    **changes: Any,
) -> Side:
    """An environment named production."""
    target = Target.model_validate(
        {
            "name": "members",
            "table": "members",
            "key": ["memberId"],
            "alias": "members-live",
            "mapping": "members.json",
            "indexer_writes": "versioned",
            "environments": {"production": settings or {}},
        }
    )
    clock, retry = FakeClock(), quick_retry()
    given: dict[str, Any] = {
        "name": "production",
        "target": target,
        "environment": target.environments["production"],
        "mapping": MappingFile("members.json", {}, {}),
        "aws": ScriptedControlPlane(answers),
        "cluster": PatientCluster(cluster or FakeCluster(), clock, retry),
        "clock": clock,
        "retry": retry,
        "region": "eu-central-1",
        "endpoint": "https://search.example.com",
    }
    return Side(**{**given, **changes})
