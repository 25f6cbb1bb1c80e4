"""Which servers a rebuild or a backfill is refused on: what each says of itself, answered over real HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.server_version import COMPARISON, SWAP, Need, ServerUnfitError, check_server
from tests.integration.conftest import MakeRig
from tests.support.fakes import quick_retry
from tests.support.recording_server import Recorded, RecordingServer, recording

OPENSEARCH = {"distribution": "opensearch", "number": "2.19.1"}
COMPATIBLE = {"number": "7.10.2", "build_type": "tar"}


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    with recording() as running:
        yield running


def check(server: RecordingServer, main: Any, *nodes: dict[str, str], need: Need = SWAP) -> str:
    def answer(request: Recorded) -> tuple[int, Any]:
        if request.target.startswith("/_nodes"):
            return (200, {"nodes": {str(number): node for number, node in enumerate(nodes)}}) if nodes else (404, {})
        return (404, {}) if main is None else (200, main)

    server.answer = answer
    client = make_client(server.url)
    try:
        return str(check_server(PatientCluster(OpenSearchCluster(client), SystemClock(), quick_retry(0.1)), need))
    finally:
        client.close()


def test_the_real_server_is_taken(make_rig: MakeRig) -> None:
    rig = make_rig()
    assert str(check_server(rig.patient)) == rig.call("")["version"]["number"]


@pytest.mark.parametrize(
    ("main", "nodes", "expected"),
    [
        ({"version": OPENSEARCH}, ["2.19.1"], "2.19.1"),
        ({"version": OPENSEARCH}, ["2.19.1", "2.12.0"], "2.12.0"),
        ({"version": COMPATIBLE}, ["2.13.0"], "2.13.0"),
        ({"version": {**OPENSEARCH, "number": "10.0.0"}}, ["10.0.0", "9.1.0"], "9.1.0"),
        ({"version": OPENSEARCH}, ["3.0.0-rc1"], "3.0.0"),
    ],
)
def test_the_oldest_node_decides(server: RecordingServer, main: Any, nodes: list[str], expected: str) -> None:
    assert check(server, main, *({"version": one} for one in nodes)) == expected


@pytest.mark.parametrize(
    ("main", "nodes", "message"),
    [
        (
            {"version": {**OPENSEARCH, "number": "2.11.1"}},
            [{"version": "2.11.1"}],
            "OpenSearch 2.11.1: .*2.12 or newer",
        ),
        ({"version": OPENSEARCH}, [{"version": "2.19.1"}, {"version": "2.11.0"}], "OpenSearch 2.11.0: .*upgrade"),
        ({"version": COMPATIBLE}, [{"version": "1.3.9"}], "OpenSearch 1.3.9: "),
        ({"version": COMPATIBLE}, [{"version": "7.10.2", "build_flavor": "oss"}], "Elasticsearch 7.10.2: .*migrate"),
        ({"version": {"number": "8.11.0", "build_flavor": "default"}}, [{"version": "8.11.0"}], "Elasticsearch 8.11.0"),
        ({"version": {"distribution": "other", "number": "1"}}, [{"version": "1"}], "other 1: .*OpenSearch only"),
        (None, [], "OpenSearch Serverless"),
        ({"version": OPENSEARCH}, [], "OpenSearch Serverless"),
        ({"version": OPENSEARCH}, [{}], "of version ''"),
        ({"version": OPENSEARCH}, [{"version": "soon"}], "of version 'soon'"),
        ({"version": "text"}, [], "Elasticsearch "),
    ],
)
def test_others_are_refused_with_the_way_out(
    server: RecordingServer, main: Any, nodes: list[dict[str, str]], message: str
) -> None:
    with pytest.raises(ServerUnfitError, match=message):
        check(server, main, *nodes)


def test_a_comparison_is_taken_by_a_server_that_is_too_old_for_a_swap(server: RecordingServer) -> None:
    assert check(server, {"version": OPENSEARCH}, {"version": "2.8.0"}, need=COMPARISON) == "2.8.0"
    with pytest.raises(ServerUnfitError, match=r"OpenSearch 2.7.0: the comparison of both sides needs 2.8 or newer"):
        check(server, {"version": OPENSEARCH}, {"version": "2.19.1"}, {"version": "2.7.0"}, need=COMPARISON)
