"""The cluster: well, new enough, with room for a second index, and not making one by accident."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.server_version import SWAP, ServerUnfitError, check_server
from dynamo_opensearch.core.preflight.auto_create import creates_by_accident, without
from dynamo_opensearch.core.preflight.disk_space import NodeDisk, data_disks, usable_bytes
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.look import Look
from dynamo_opensearch.core.preflight.side import Side

_GOOD = {"green": ("green",), "yellow": ("green", "yellow")}
_SETTINGS = "*.action.auto_create_index,*.cluster.routing.allocation.disk"
_LEVELS = ("transient", "persistent", "defaults")


def look_at_cluster(side: Side) -> Look:
    """Health, version, disks and ``action.auto_create_index``.

    Raises:
        AccessDeniedError, ServiceUnavailableError, OpenSearchRequestError: it cannot be asked.
    """
    health = side.cluster.request("GET", "/_cluster/health")
    settings = side.cluster.request(
        "GET", "/_cluster/settings", params={"include_defaults": "true", "filter_path": _SETTINGS}
    )
    version, unfit = _version(side)
    auto_create = str(_setting(settings, "action", "auto_create_index") or "true")
    return Look(
        seen=f"{health['status']}, {version}, {health.get('number_of_data_nodes')} data nodes",
        findings=(
            *_health_findings(side, health),
            *unfit,
            *_disk_findings(side, settings),
            *_auto_create_findings(side, auto_create),
        ),
        fields={"version": version, "action.auto_create_index": _of_alias(side, auto_create)},
        align=lambda name, value: _align_line(side, name, value),
    )


def _of_alias(side: Side, setting: str) -> str:
    """The setting in terms that hold for environments whose alias has another name."""
    return setting.replace(side.target.alias, "<alias>")


def _align_line(side: Side, name: str, value: Any) -> str:
    if name == "version":
        domain = (side.environment.opensearch.domain or "<domain>").rpartition("/")[2]
        return side.aws_line(
            "opensearch", "upgrade-domain", domain_name=domain, target_version=f"OpenSearch_{_short(str(value))}"
        )
    return _auto_create_line(side, str(value).replace("<alias>", side.target.alias))


def _auto_create_line(side: Side, setting: str) -> str:
    """What is set until the next restart only would go before it, and is taken away."""
    name = "action.auto_create_index"
    body = {"persistent": {name: setting}, "transient": {name: None}}
    return side.curl_line("PUT", "/_cluster/settings", body)


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
            remedy=_align_line(side, "version", oldest),
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


def _setting(settings: dict[str, Any], *path: str) -> Any:
    """The value that counts: what is set until the next restart, then what is kept, then the default."""
    for level in _LEVELS:
        value: Any = settings.get(level)
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _disk_findings(side: Side, settings: dict[str, Any]) -> Iterator[Finding]:
    """Room for all copies of the index once more, as a rebuild needs it."""
    needed = _store_bytes(side)
    disk = ("cluster", "routing", "allocation", "disk")
    is_watched = str(_setting(settings, *disk, "threshold_enabled") or "true").lower() == "true"
    mark = str(_setting(settings, *disk, "watermark", "low") or "85%") if is_watched else None
    stats = side.cluster.request("GET", "/_nodes/stats/fs", params={"filter_path": "nodes.*.roles,nodes.*.fs.total"})
    disks = data_disks(stats)
    usable = usable_bytes(disks, mark)
    if usable < needed:
        yield Finding(
            what="free disk",
            found=f"{_in_gb(usable)} below the low watermark of {mark or 'none'}",
            expected=f"{_in_gb(needed)} for a second copy of {side.target.alias}",
            remedy=_grow_line(side, disks, needed - usable),
        )


def _store_bytes(side: Side) -> int:
    """What the index behind the alias takes on all nodes; 0 where there is none yet."""
    try:
        stats = side.cluster.request(
            "GET", f"/{side.target.alias}/_stats/store", params={"filter_path": "_all.total.store.size_in_bytes"}
        )
    except OpenSearchRequestError as error:
        if error.status == 404:
            return 0
        raise
    return int(stats["_all"]["total"]["store"]["size_in_bytes"])


def _in_gb(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


def _grow_line(side: Side, disks: Sequence[NodeDisk], lacking: int) -> str:
    if side.environment.opensearch.domain is None or not disks:
        return f"{side.curl_line('GET', '/_cat/allocation?v')}; add a data node or a larger disk"
    domain = side.environment.opensearch.domain.rpartition("/")[2]
    # Above the low watermark nothing counts, so more must come than is lacking.
    size = max(disk.total_bytes for disk in disks) + 2 * lacking / len(disks)
    options = {"EBSEnabled": True, "VolumeSize": math.ceil(size / 2**30)}
    return side.aws_line("opensearch", "update-domain-config", domain_name=domain, ebs_options=options)


def _auto_create_findings(side: Side, setting: str) -> Iterator[Finding]:
    alias = side.target.alias
    if creates_by_accident(setting, alias):
        yield Finding(
            what="action.auto_create_index",
            found=setting,
            expected=f"nothing that makes an index named {alias} when the alias is away for a moment",
            remedy=_auto_create_line(side, without(setting, alias)),
        )
