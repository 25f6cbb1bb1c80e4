"""Contender: the same pages of one side, received, parsed by orjson, and nothing done with them.

The table through boto3 with the fast path, the index over a plain HTTP connection; Python's collector stands still.
"""

import gc
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import orjson

from dynamo_opensearch.core.compare.shard_pages import FIRST_PAGE, KEYS_FIELDS, next_page
from dynamo_opensearch.core.compare.table_side import ItemRows
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.reading import depth_of
from tools.bench.contender import Work, contend_with
from tools.bench.ours import aws_client
from tools.bench.reconcile.wired import ReconcileTask, ReconcileWired


def prepare(said: dict[str, Any]) -> Work:
    """Connect."""
    task = ReconcileTask(**said)
    plan = ReconcilePlan.from_json(task.plan)
    pages = _table_pages(task, plan) if task.step == "table" else _index_pages(task, plan)

    def work() -> int:
        gc.disable()
        return sum(pages)

    return work


def _table_pages(task: ReconcileTask, plan: ReconcilePlan) -> Iterator[int]:
    """How many items each page has."""
    client = aws_client(task.dynamodb)
    builder = ReconcileWired(task.dynamodb, task.opensearch).builder
    projection = ItemRows(builder, depth_of(plan), None).scan_arguments
    for segment in range(plan.total_segments):
        after: dict[str, Any] = {}
        while True:
            page = client.scan(
                TableName=plan.subject.table,
                Segment=segment,
                TotalSegments=plan.total_segments,
                ReturnConsumedCapacity="TOTAL",
                **projection,
                **after,
            )
            yield len(page["Items"])
            if "LastEvaluatedKey" not in page:
                break
            after = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _index_pages(task: ReconcileTask, plan: ReconcilePlan) -> Iterator[int]:
    """How many documents each page has; all shards together."""
    address = urlsplit(task.opensearch)
    connection = HTTPConnection(address.hostname or "", address.port)
    has_content = plan.depth == "content"
    opened = _post(connection, f"/{plan.subject.index}/_search/point_in_time?keep_alive=5m", {})[0]
    search = "/_search" if has_content else f"/_search?filter_path={KEYS_FIELDS}"
    body = {"pit": {"id": opened["pit_id"], "keep_alive": "5m"}, "sort": ["_doc"], "_source": has_content}
    after: dict[str, Any] = {}
    size, found, expected = FIRST_PAGE, 0, 1
    while found < expected:
        answer, answer_bytes = _post(connection, search, {**body, **after, "size": size, "track_total_hits": not after})
        hits = answer["hits"]["hits"]
        expected = expected if after else answer["hits"]["total"]["value"]
        found += len(hits)
        after = {"search_after": hits[-1]["sort"]}
        size = next_page(size, answer_bytes, has_content)
        yield len(hits)
    connection.request("DELETE", "/_search/point_in_time", orjson.dumps({"pit_id": [opened["pit_id"]]}), _HEADERS)
    connection.getresponse().read()


_HEADERS = {"Content-Type": "application/json"}


def _post(connection: HTTPConnection, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    connection.request("POST", path, orjson.dumps(body) if body else None, _HEADERS)
    answer = connection.getresponse().read()
    return orjson.loads(answer), len(answer)


if __name__ == "__main__":
    contend_with(prepare)
