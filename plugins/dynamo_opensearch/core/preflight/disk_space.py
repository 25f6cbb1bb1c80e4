"""Whether a second copy of an index fits on the data nodes' disks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_UNITS = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40, "pb": 2**50}


@dataclass(frozen=True, kw_only=True)
class NodeDisk:
    """Bytes of one data node's disk."""

    total_bytes: int
    available_bytes: int


def data_disks(stats: Mapping[str, Any]) -> list[NodeDisk]:
    """The disks of the nodes that hold an index in use, from ``GET /_nodes/stats/fs``."""
    return [
        NodeDisk(
            total_bytes=int(node["fs"]["total"]["total_in_bytes"]),
            available_bytes=int(node["fs"]["total"]["available_in_bytes"]),
        )
        for node in stats.get("nodes", {}).values()
        if _holds_data(node.get("roles"))
    ]


def usable_bytes(disks: Sequence[NodeDisk], low_watermark: str | None) -> int:
    """Bytes that shards may still be put on; ``low_watermark`` as OpenSearch's setting, None where it is off.

    Above that mark a node is given no shard: "85%" or "0.85" of its disk used, or "50gb" of it free.
    """
    return sum(max(0, disk.available_bytes - _reserved_bytes(disk, low_watermark)) for disk in disks)


def _holds_data(roles: Sequence[str] | None) -> bool:
    """A node that says nothing of its roles holds data."""
    return roles is None or ("data" in roles and "warm" not in roles)


def _reserved_bytes(disk: NodeDisk, mark: str | None) -> int:
    if mark is None:
        return 0
    text = mark.strip().lower()
    if text.endswith("%"):
        return round(disk.total_bytes * (1 - float(text[:-1]) / 100))
    for unit in sorted(_UNITS, key=len, reverse=True):
        if text.endswith(unit):
            return round(float(text.removesuffix(unit)) * _UNITS[unit])
    return round(disk.total_bytes * (1 - float(text)))
