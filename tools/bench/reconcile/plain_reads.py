"""Contender: one side by the clients' own means, ids counted: boto3's paginator, opensearch-py's helpers.scan."""

from collections.abc import Iterator
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.helpers import scan

from dynamo_opensearch.core.compare.table_side import ItemRows
from dynamo_opensearch.core.reconcile.plan import ReconcilePlan
from dynamo_opensearch.core.reconcile.reading import depth_of
from tools.bench.contender import Work, contend_with
from tools.bench.reconcile.wired import ReconcileTask, ReconcileWired
from tools.bench.sources import members_client
from tools.local.members import HASH_KEY

_PAGE_DOCUMENTS = {"keys": 10_000, "content": 1_000}
"""The largest that is allowed; the default."""


def prepare(said: dict[str, Any]) -> Work:
    """Connect."""
    task = ReconcileTask(**said)
    plan = ReconcilePlan.from_json(task.plan)
    ids = _table_ids(task, plan) if task.step == "table" else _index_ids(task, plan)
    return lambda: sum(1 for _ in ids)


def _table_ids(task: ReconcileTask, plan: ReconcilePlan) -> Iterator[str]:
    builder = ReconcileWired(task.dynamodb, task.opensearch).builder
    projection = ItemRows(builder, depth_of(plan), None).scan_arguments
    pages = members_client(task.dynamodb).get_paginator("scan")
    for page in pages.paginate(TableName=plan.subject.table, **projection):
        yield from (item[HASH_KEY]["S"] for item in page["Items"])


def _index_ids(task: ReconcileTask, plan: ReconcilePlan) -> Iterator[str]:
    client = OpenSearch(hosts=[task.opensearch])
    wanted = {"_source": plan.depth == "content"}
    for hit in scan(client, index=plan.subject.index, size=_PAGE_DOCUMENTS[plan.depth], query=wanted):
        yield hit["_id"]


if __name__ == "__main__":
    contend_with(prepare)
