"""The cluster: well, and new enough."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.opensearch.server_version import SWAP, ServerUnfitError, check_server
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.look import Look
from dynamo_opensearch.core.preflight.side import Side

_GOOD = {"green": ("green",), "yellow": ("green", "yellow")}


def look_at_cluster(side: Side) -> Look:
    """Health and version; the version where all is asked: a run's plan holds it against what its DAG needs.

    Raises:
        AccessDeniedError, ServiceUnavailableError, OpenSearchRequestError: it cannot be asked.
    """
    health = side.cluster.request("GET", "/_cluster/health")
    version, unfit = _version(side)
    return Look(
        seen=f"{health['status']}, {version}, {health.get('number_of_data_nodes')} data nodes",
        findings=(*_health_findings(side, health), *(unfit if side.asks_all else ())),
        fields={"version": version},
        align=lambda _name, value: _upgrade_line(side, str(value)),
    )


def _upgrade_line(side: Side, version: str) -> str:
    domain = (side.environment.opensearch.domain or "<domain>").rpartition("/")[2]
    return side.aws_line(
        "opensearch", "upgrade-domain", domain_name=domain, target_version=f"OpenSearch_{_short(version)}"
    )


def _short(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _version(side: Side) -> tuple[str, list[Finding]]:
    """The oldest node's version, and what is wrong with it."""
    try:
        return str(check_server(side.cluster)), []
    except ServerUnfitError as error:
        oldest = ".".join(map(str, SWAP.oldest))
        finding = Finding(
            what="version",
            found=error.server,
            expected=f"OpenSearch {oldest} or newer: {error.problem}",
            remedy=_upgrade_line(side, oldest),
        )
        return error.server, [finding]


def _health_findings(side: Side, health: dict[str, Any]) -> Iterator[Finding]:
    wanted = side.environment.opensearch.health
    if health["status"] not in _GOOD[wanted]:
        yield Finding(
            what="health",
            found=f"{health['status']}, {health.get('unassigned_shards')} shards without a node",
            expected=wanted,
            remedy=side.curl_line("GET", "/_cluster/allocation/explain"),
        )
