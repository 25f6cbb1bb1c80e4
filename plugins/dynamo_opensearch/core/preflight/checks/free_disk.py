"""The data nodes' disks: with room for a second index, as a rebuild needs it."""

import math
from collections.abc import Iterator, Sequence

from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.preflight.cluster_settings import read_settings, setting_of
from dynamo_opensearch.core.preflight.disk_space import NodeDisk, data_disks, usable_bytes
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.look import Look
from dynamo_opensearch.core.preflight.side import Side

_DISK = ("cluster", "routing", "allocation", "disk")


def look_at_free_disk(side: Side) -> Look:
    """What shards may still be put on, against all copies of the index once more.

    Raises:
        AccessDeniedError, ServiceUnavailableError, OpenSearchRequestError: it cannot be asked.
    """
    needed = _store_bytes(side)
    mark = _low_watermark(side)
    stats = side.cluster.request("GET", "/_nodes/stats/fs", params={"filter_path": "nodes.*.roles,nodes.*.fs.total"})
    disks = data_disks(stats)
    usable = usable_bytes(disks, mark)
    return Look(
        seen=f"{_in_gb(usable)} free, {_in_gb(needed)} for a second copy of {side.target.alias}",
        findings=tuple(_findings(side, disks, mark, usable, needed)),
    )


def _low_watermark(side: Side) -> str | None:
    """Above it a node is given no shard; None where nobody watches."""
    settings = read_settings(side, *_DISK)
    is_watched = str(setting_of(settings, *_DISK, "threshold_enabled") or "true").lower() == "true"
    return str(setting_of(settings, *_DISK, "watermark", "low") or "85%") if is_watched else None


def _findings(side: Side, disks: Sequence[NodeDisk], mark: str | None, usable: int, needed: int) -> Iterator[Finding]:
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
