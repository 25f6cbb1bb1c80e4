"""A fresh index for each run, and the exact count of what is in it; plain HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tools.local import http

ALIAS = "bench-live"

_KEYWORD = {"type": "keyword"}
LIGHT_MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        **dict.fromkeys(("memberId", "firstName", "lastName", "email", "phone", "status", "tier", "tags"), _KEYWORD),
        **{name: {"type": "date"} for name in ("birthDate", "joinedAt", "updatedAt")},
        "points": {"type": "integer"},
        "balance": {"type": "double"},
        "newsletter": {"type": "boolean"},
        "address": {"properties": dict.fromkeys(("street", "city", "postalCode", "country"), _KEYWORD)},
    },
}
"""Every field indexed, strings as keywords: nothing but the copy itself should cost much."""

_SETTINGS = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}


class CountError(RuntimeError):
    """After a run the index did not hold every document once."""

    def __init__(self, contender: str, expected: int, actual: int) -> None:
        super().__init__(contender, expected, actual)
        self.contender, self.expected, self.actual = contender, expected, actual

    def __str__(self) -> str:
        return f"{self.contender} left {self.actual} documents in the index, not {self.expected}"


@contextmanager
def fresh_index(url: str, index: str, mapping: dict[str, Any] | None = None, alias: str = ALIAS) -> Iterator[None]:
    """An empty index behind the alias, gone afterwards. ``mapping``: a mapping file's content, else the light one."""
    whole = mapping or {"settings": {"index": {}}, "mappings": LIGHT_MAPPING}
    settings = {**whole["settings"], "index": {**whole["settings"]["index"], **_SETTINGS}}
    body = {"settings": settings, "mappings": whole["mappings"], "aliases": {alias: {}}}
    http.call(f"{url}/{index}?ignore_unavailable=true", method="DELETE", timeout_s=60)  # an interrupted run left it
    http.call(f"{url}/{index}", method="PUT", body=body, timeout_s=60)
    try:
        yield
    finally:
        http.call(f"{url}/{index}", method="DELETE", timeout_s=60)


def count(url: str, index: str) -> int:
    """Documents, exactly: after a refresh."""
    http.call(f"{url}/{index}/_refresh", method="POST", timeout_s=120)
    return int(http.call(f"{url}/{index}/_count", timeout_s=60)["count"])
