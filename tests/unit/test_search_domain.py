"""OpenSearch is waited for: the domain made, at rest, and answering; what does not pass is told at once."""

from typing import Any

import pytest

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.cutover.readiness import Readiness
from dynamo_opensearch.core.cutover.search_domain import DomainGoneError, SearchDomain
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError, OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.server_version import ServerUnfitError
from tests.support.fake_cluster import FakeCluster
from tests.support.fakes import FakeClock
from tests.support.scripted_aws import RefusalError, ScriptedAws

ARN = "arn:aws:es:eu-central-1:123456789012:domain/members"
URL = "https://search.example.com:443"
NODES = {"nodes": {"a": {"version": "3.8.0"}}}


class Domain:
    """A domain and its cluster, as AWS and OpenSearch show them."""

    def __init__(self) -> None:
        self.aws, self.cluster = ScriptedAws(), FakeCluster()
        self.status: dict[str, Any] = {
            "DomainId": "123456789012/members",
            "DomainName": "members",
            "ARN": ARN,
            "ClusterConfig": {},
            "Created": True,
            "Deleted": False,
            "Endpoint": "search.example.com",
            "Processing": False,
            "UpgradeProcessing": False,
        }
        self.aws.scripts["opensearch.DescribeDomain"] = lambda _: {"DomainStatus": self.status}
        self.cluster.routes = {
            "/": {"version": {"distribution": "opensearch", "number": "3.8.0"}},
            "/_nodes": NODES,
        }

    def look(self, domain: str | None = ARN) -> Readiness:
        clock = FakeClock()
        patient = PatientCluster(self.cluster, clock, RetryPolicy(give_up_after_s=0.0))
        found = SearchDomain(self.aws.plane, domain, patient, URL).look()
        assert clock.slept == [], "whoever waits looks again"
        return found


@pytest.fixture
def domain() -> Domain:
    return Domain()


def test_a_domain_at_rest_that_answers_is_ready_and_named_with_its_version(domain: Domain) -> None:
    found = domain.look()
    assert (found.is_ready, found.value) == (True, "3.8.0")
    assert found.seen == f"domain 'members' is active; OpenSearch 3.8.0 answers at {URL}"
    assert domain.aws.made("opensearch.DescribeDomain") == [{"DomainName": "members"}]


def test_without_a_domain_in_the_file_aws_is_not_asked_and_the_answer_is_enough(domain: Domain) -> None:
    found = domain.look(None)
    assert (found.is_ready, found.seen) == (True, f"OpenSearch 3.8.0 answers at {URL}")
    assert domain.aws.calls == []


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        ({"Created": False}, "is being created"),
        ({"Endpoint": ""}, "is being created"),
        ({"Processing": True}, "is being changed"),
        ({"Processing": True, "UpgradeProcessing": True}, "is being upgraded to another version"),
        ({"DomainProcessingStatus": "Creating"}, "is being created"),
        ({"DomainProcessingStatus": "Modifying"}, "is being changed"),
        ({"DomainProcessingStatus": "UpgradingEngineVersion"}, "is being upgraded to another version"),
        ({"DomainProcessingStatus": "UpdatingServiceSoftware"}, "is being given new service software"),
        (
            {
                "Processing": True,
                "ChangeProgressDetails": {"ConfigChangeStatus": "ValidationFailed", "Message": "too few nodes"},
            },
            "is being changed (ValidationFailed: too few nodes)",
        ),
    ],
)
def test_what_goes_on_with_the_domain_is_waited_for_and_said(domain: Domain, status: dict[str, Any], seen: str) -> None:
    domain.status |= status
    found = domain.look()
    assert (found.is_ready, found.seen) == (False, f"OpenSearch domain 'members' {seen}")
    assert domain.cluster.requests == [], "it is not asked while it is being changed"


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        ({"Deleted": True}, "is being deleted"),
        ({"Deleted": True, "DomainProcessingStatus": "Active"}, "is being deleted"),
        ({"DomainProcessingStatus": "Deleting"}, "is being deleted"),
        ({"DomainProcessingStatus": "Isolated"}, "is suspended"),
    ],
)
def test_a_domain_that_goes_away_is_not_waited_for(domain: Domain, status: dict[str, Any], seen: str) -> None:
    domain.status |= status
    with pytest.raises(DomainGoneError, match=f"domain 'members' {seen}; nothing was made"):
        domain.look()


def test_the_status_counts_where_older_flags_say_something_else(domain: Domain) -> None:
    domain.status |= {"DomainProcessingStatus": "Active", "Processing": True}
    assert domain.look().is_ready


def test_a_domain_inside_a_vpc_has_its_endpoint_elsewhere(domain: Domain) -> None:
    domain.status.pop("Endpoint")
    domain.status["Endpoints"] = {"vpc": "vpc-members.example.com"}
    assert domain.look().is_ready


def refuse(code: str) -> Any:
    def answer(_: Any) -> Any:
        raise RefusalError(code)

    return answer


def test_a_domain_that_is_not_there_yet_is_waited_for_with_what_else_may_be_wrong(domain: Domain) -> None:
    domain.aws.scripts["opensearch.DescribeDomain"] = refuse("ResourceNotFoundException")
    found = domain.look()
    assert not found.is_ready
    assert "no OpenSearch domain 'members' in eu-central-1" in found.seen
    assert "correct opensearch.domain" in found.seen


def test_the_right_to_look_at_the_domain_is_named(domain: Domain) -> None:
    domain.aws.scripts["opensearch.DescribeDomain"] = refuse("AccessDeniedException")
    with pytest.raises(AccessDeniedError, match="es:DescribeDomain on 'members'"):
        domain.look()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (ConnectionLostError("ConnectTimeoutError"), "ConnectTimeoutError"),
        (OpenSearchRequestError(503, "GET /", "unreadable_error", ""), "503 unreadable_error"),
    ],
)
def test_a_domain_that_does_not_answer_yet_is_waited_for(domain: Domain, answer: Exception, problem: str) -> None:
    domain.cluster.routes["/"] = answer
    found = domain.look()
    assert (found.is_ready, found.seen) == (False, f"{URL} does not answer ({problem})")


def test_a_refusal_of_opensearch_is_told_at_once(domain: Domain) -> None:
    domain.cluster.routes["/"] = AccessDeniedError("OpenSearch", "GET", "/", "403")
    with pytest.raises(AccessDeniedError, match="OpenSearch refused GET"):
        domain.look()


def test_what_is_no_opensearch_is_told_at_once(domain: Domain) -> None:
    domain.cluster.routes["/"] = {"version": {"number": "8.11.0"}}
    with pytest.raises(ServerUnfitError, match="Elasticsearch"):
        domain.look()
