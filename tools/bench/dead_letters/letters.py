"""Dead letters of a table's changes: its stream read to the end, messages made of it, a queue filled with them."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tools.bench import sources
from tools.local import http, members
from tools.local.esm_dead_letters import GivenUp, message
from tools.local.esm_records import StreamRecord
from tools.local.esm_shard import ShardReader, list_shards

_FUNCTION_ARN = "arn:aws:lambda:eu-central-1:000000000000:function:members-indexer"
_ATTEMPTS = 4
_BATCH = 10
_SENDERS = 4
_DEPTHS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]


class LettersError(RuntimeError):
    """What was measured is not what was meant to be."""


@dataclass(frozen=True, kw_only=True)
class WrittenTable:
    """A table of the first ``items`` members, and its stream's records by shard. ``began_s``: of the writing."""

    url: str
    pid: int
    items: int
    stream_arn: str
    shards: dict[str, list[StreamRecord]]
    began_s: float

    def messages(self, records: int, each: int) -> list[str]:
        """Bodies of messages about the first members, of ``each`` records, or fewer at the end of a shard.

        Raises:
            LettersError: ``records`` of them cannot be named without others.
        """
        wanted = {members.member_id(number) for number in range(records)}
        if records != self.items and each > 1:
            raise LettersError("a range of records cannot leave any out")
        return [
            self._message(shard, chosen[start : start + each])
            for shard, all_of_it in self.shards.items()
            if (chosen := [one for one in all_of_it if _key(one) in wanted])
            for start in range(0, len(chosen), each)
        ]

    def _message(self, shard: str, records: Sequence[StreamRecord]) -> str:
        given_up = GivenUp(
            records=records,
            shard_id=shard,
            stream_arn=self.stream_arn,
            function_arn=_FUNCTION_ARN,
            reason="attempts",
            invocations=_ATTEMPTS,
            has_raised=True,
            at=datetime.now(UTC),
        )
        return json.dumps(message(given_up))


def _key(record: StreamRecord) -> str:
    return str(record.event["dynamodb"]["Keys"][members.HASH_KEY]["S"])


def write_table(url: str, pid: int, items: int, began_s: float) -> WrittenTable:
    """Make the table, fill it, and read its stream.

    Raises:
        LettersError: the stream does not hold one record for each item.
    """
    client = sources.members_client(url)
    members.create_table(client)
    members.load(client, members.TABLE, items)
    stream_arn = client.describe_table(TableName=members.TABLE)["Table"]["LatestStreamArn"]
    streams = sources.members_client(url, "dynamodbstreams")
    shards = {one.id: list(_records(streams, stream_arn, one.id)) for one in list_shards(streams, stream_arn)}
    found = sum(map(len, shards.values()))
    if found != items:
        raise LettersError(f"the stream has {found} records of {items} items")
    return WrittenTable(url=url, pid=pid, items=items, stream_arn=stream_arn, shards=shards, began_s=began_s)


def _records(streams: Any, stream_arn: str, shard: str) -> Iterator[StreamRecord]:
    reader = ShardReader(streams, stream_arn, shard, "TRIM_HORIZON")
    while records := reader.read():
        yield from records


@contextmanager
def filled_queue(url: str, bodies: Sequence[str]) -> Iterator[str]:
    """A queue that holds these messages, by its URL; empty at the end, then gone.

    Raises:
        LettersError: somebody left something in it.
    """
    client = sources.members_client(url, "sqs")
    queue_url = client.create_queue(QueueName="bench-dlq")["QueueUrl"]

    def send(batch: Sequence[str]) -> None:
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)]
        if client.send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed"):
            raise LettersError("the queue did not take a batch")

    try:
        with ThreadPoolExecutor(_SENDERS) as threads:
            list(threads.map(send, (bodies[start : start + _BATCH] for start in range(0, len(bodies), _BATCH))))
        yield queue_url
        depth = client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=_DEPTHS)["Attributes"]
        if any(int(depth[name]) for name in _DEPTHS):
            raise LettersError(f"the queue is not empty: {depth}")
    finally:
        client.delete_queue(QueueUrl=queue_url)


def check_equal(table: WrittenTable, opensearch_url: str, index: str, records: int) -> None:
    """The first members in the table and in the index, by an attribute that differs from one to the next.

    Raises:
        LettersError: they differ.
    """
    ids = [members.member_id(number) for number in range(records)]
    client = sources.members_client(table.url)
    pages = client.get_paginator("scan").paginate(
        TableName=members.TABLE, ConsistentRead=True, Limit=sources.PAGE_ITEMS
    )
    all_of_it = {item[members.HASH_KEY]["S"]: item["points"]["N"] for page in pages for item in page["Items"]}
    wanted = {one: all_of_it[one] for one in ids}
    answer = http.call(f"{opensearch_url}/{index}/_mget?_source=points", method="POST", body={"ids": ids}, timeout_s=60)
    found = {one["_id"]: str(one["_source"]["points"]) for one in answer["docs"] if one["found"]}
    if different := len(wanted.items() ^ found.items()):
        raise LettersError(f"{different} members differ between the table and {index}")
