"""Judges that share no code with the package: boto3 and plain HTTP read both sides, a dict comparison decides.

Nothing here imports dynamo_opensearch (a test holds it to that).
"""

import base64
import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import boto3
from boto3.dynamodb.types import Binary, TypeDeserializer
from botocore.config import Config

from tools.local import http
from tools.local.ministack import REGION


class _ExactDeserializer(TypeDeserializer):  # type: ignore[misc]
    """Boto3's own traps a number that a server writes with more than 38 digits, zeros included."""

    def _deserialize_n(self, value: str) -> Decimal:
        return Decimal(value)


_DESERIALIZER = _ExactDeserializer()
Plain = dict[str, Any]
"""A document or item as Python values: numbers as Decimal, binary as base64 text, sets as lists in any order."""


class AnyOrder(list[Any]):
    """A set as a list: equal to any list of the same members."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and sorted(self, key=str) == sorted(other, key=str)

    __hash__ = None


def client(url: str, service: str = "dynamodb") -> Any:
    """A plain boto3 client."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 3}, max_pool_connections=20),
    )


def plain(value: Any) -> Any:
    """What boto3 makes of an attribute, as JSON could hold it."""
    if isinstance(value, Binary):
        return base64.b64encode(value.value).decode()
    if isinstance(value, Mapping):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, set):
        return AnyOrder(plain(member) for member in value)
    return [plain(member) for member in value] if isinstance(value, list) else value


def plain_item(typed: Mapping[str, Any]) -> Plain:
    """An item of boto3's low-level client as plain values."""
    return {name: plain(_DESERIALIZER.deserialize(value)) for name, value in typed.items()}


def items(dynamodb: Any, table: str) -> list[Plain]:
    """Every item of a table, by boto3's own pages, strongly consistent."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [plain_item(item) for page in pages for item in page["Items"]]


def expected(
    dynamodb: Any, table: str, document_id: Callable[[Plain], str], fields: tuple[str, ...] | None = None
) -> dict[str, Plain]:
    """What an index must hold: id to document, all fields or the named ones."""
    return {
        document_id(item): {name: value for name, value in item.items() if fields is None or name in fields}
        for item in items(dynamodb, table)
    }


def documents(url: str, index: str) -> dict[str, Plain]:
    """Every document of an index after a refresh, numbers exact."""
    return {hit["_id"]: hit["_source"] for hit in _hits(url, index, {})}


def writes(url: str, index: str) -> dict[str, tuple[int, int, str | None]]:
    """Sequence number, version and routing of every document: each write changes them, whatever it writes."""
    wanted = {"_source": False, "seq_no_primary_term": True, "version": True}
    hits = _hits(url, index, wanted)
    return {hit["_id"]: (int(hit["_seq_no"]), int(hit["_version"]), hit.get("_routing")) for hit in hits}


def _hits(url: str, index: str, wanted: Plain) -> Iterator[Plain]:
    """Every document after a refresh, in the order of ids."""
    http.call(f"{url}/{index}/_refresh", method="POST")
    after: list[Any] | None = None
    while True:
        body: Plain = {"size": 5000, "sort": [{"_id": "asc"}], "query": {"match_all": {}}, **wanted}
        if after is not None:
            body["search_after"] = after
        hits = exact_call(f"{url}/{index}/_search?allow_partial_search_results=false", body)["hits"]["hits"]
        if not hits:
            return
        yield from hits
        after = hits[-1]["sort"]


def exact_call(url: str, body: object = None) -> Any:
    """A request whose answer keeps every digit; GET, or POST with a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.loads(answer.read(), parse_float=Decimal, parse_int=Decimal)


def differences(expected_documents: Mapping[str, Plain], actual: Mapping[str, Plain]) -> list[str]:
    """Every key on one side only, and every document that is not the same; empty when both sides agree."""
    found = [f"missing: {one}" for one in sorted(expected_documents.keys() - actual.keys())]
    found += [f"too many: {one}" for one in sorted(actual.keys() - expected_documents.keys())]
    for one in sorted(expected_documents.keys() & actual.keys()):
        if expected_documents[one] != actual[one]:
            found.append(f"differs: {one}: {expected_documents[one]!r} and {actual[one]!r}")
    return found
