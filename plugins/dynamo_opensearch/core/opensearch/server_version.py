"""Whether the server at the other end is an OpenSearch that a swap or a comparison can be trusted to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster


@dataclass(frozen=True, kw_only=True)
class Need:
    """The oldest version that something works with, and the reason as a message gives it."""

    oldest: tuple[int, int]
    reason: str


SWAP = Need(
    oldest=(2, 12),
    reason="a swap needs 2.12 or newer, which honours `must_exist` in POST _aliases; an older one lets two runs "
    "swap at once.",
)
"""github.com/opensearch-project/OpenSearch/pull/11210"""

COMPARISON = Need(
    oldest=(2, 8),
    reason="the comparison of both sides needs 2.8 or newer, which reads primary shards at one point in time.",
)
"""github.com/opensearch-project/OpenSearch/pull/7375; points in time alone are there from 2.4 on."""

_COMPATIBILITY_NUMBER = "7.10.2"
"""What OpenSearch calls itself where ``compatibility.override_main_response_version`` is set."""

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class ServerUnfitError(PermanentError):
    """The server is too old, or none that this package works with."""

    def __init__(self, server: str, problem: str) -> None:
        super().__init__(server, problem)
        self.server, self.problem = server, problem

    def __str__(self) -> str:
        return f"the server is {self.server}: {self.problem} Nothing was made. Start this DAG again afterwards."


@dataclass(frozen=True, order=True)
class ServerVersion:
    """The version of the oldest node."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def check_server(cluster: PatientCluster, need: Need = SWAP) -> ServerVersion:
    """The version of the cluster's oldest node, asked of the nodes: a domain in compatibility mode hides its own.

    Raises:
        ServerUnfitError: older than ``need`` says, Elasticsearch, OpenSearch Serverless, or of no readable version.
        AccessDeniedError: GET / or GET /_nodes is not allowed.
    """
    version = _oldest_node(_main_answer(cluster), cluster)
    if (version.major, version.minor) < need.oldest:
        raise ServerUnfitError(f"OpenSearch {version}", f"{need.reason} The way out: upgrade the domain.")
    return version


def _main_answer(cluster: PatientCluster) -> dict[str, Any]:
    """Serverless has neither ``GET /`` nor ``GET /_nodes``: both answer 404."""
    try:
        answer = cluster.request("GET", "/")
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise
        raise _serverless() from error
    return answer if isinstance(answer, dict) else {}


def _oldest_node(main: dict[str, Any], cluster: PatientCluster) -> ServerVersion:
    said = _member(main, "version")
    distribution, number = said.get("distribution"), str(said.get("number", ""))
    if distribution not in (None, "opensearch"):
        raise ServerUnfitError(f"{distribution} {number}", "this package works with OpenSearch only.")
    if distribution is None and number != _COMPATIBILITY_NUMBER:
        raise _elasticsearch(number)
    nodes = list(_nodes(cluster))
    if distribution is None and any("build_flavor" in node for node in nodes):
        raise _elasticsearch(number)  # which names a flavour for each node; OpenSearch has none
    versions = [_parsed(str(node.get("version", ""))) for node in nodes]
    if not versions:
        raise ServerUnfitError(f"OpenSearch {number}", "GET /_nodes names no node, so its true version is not known.")
    return min(versions)


def _nodes(cluster: PatientCluster) -> Iterator[dict[str, Any]]:
    try:
        answer = cluster.request(
            "GET", "/_nodes", params={"filter_path": "nodes.*.version,nodes.*.build_flavor,nodes.*.build_type"}
        )
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise
        raise _serverless() from error
    yield from (node for node in _member(answer, "nodes").values() if isinstance(node, dict))


def _parsed(text: str) -> ServerVersion:
    match = _VERSION.match(text)
    if match is None:
        raise ServerUnfitError(f"of version {text!r}", "which is no version. Check host and port of the connection.")
    return ServerVersion(int(match[1]), int(match[2]), int(match[3] or 0))


def _member(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _serverless() -> ServerUnfitError:
    return ServerUnfitError(
        "OpenSearch Serverless, or something else that does not answer GET / and GET /_nodes",
        "it lacks calls that this package needs (_refresh, _reindex, _tasks). The way out: a domain of OpenSearch "
        "Service or a cluster of your own; check host and port of the connection.",
    )


def _elasticsearch(number: str) -> ServerUnfitError:
    return ServerUnfitError(
        f"Elasticsearch {number}",
        "this package works with OpenSearch only. The way out: migrate to OpenSearch.",
    )
