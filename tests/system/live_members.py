"""Members that are written, indexed and read all the time, beside a running Airflow."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from dynamo_opensearch.indexer import handler as indexer
from dynamo_opensearch.indexer.settings import read_settings
from tests.support import oracle
from tests.support.live_traffic import AliasReader, TableTraffic
from tests.system.airflow_deployment import Deployment, wait_for
from tools.local import http, members
from tools.local.esm_batches import RetrySettings
from tools.local.esm_dead_letters import SqsDestination
from tools.local.esm_faults import FailingShare
from tools.local.event_source_mapping import EventSourceMapping, Lag, MappingSettings
from tools.local.ministack import REGION

QUEUE = "members-indexer-dlq"
REINDEX, ROLLBACK, FOLLOW, CLEAN_UP = (
    "members_reindex",
    "members_rollback_index",
    "sync_follow",
    "sync_index_cleanup",
)


@dataclass(kw_only=True)
class LiveMembers:
    """Handles on what goes on. ``queue_url``: the indexer's dead letters."""

    deployment: Deployment
    traffic: TableTraffic
    reader: AliasReader
    mapping: EventSourceMapping
    sqs: Any
    queue_url: str
    replayed: int = 0
    """Dead letters, so far."""

    def settle(self) -> None:
        """No more writes; the indexer works off the stream, and the dead letters are replayed."""
        self.traffic.stop()
        self.mapping.wait_until_caught_up(900)
        self.replayed += self.replay_dead_letters()

    def wait_until_followed(self, timeout_s: float = 240.0) -> None:
        """Until the follower has done all that the stream holds, second looks too."""
        moment_us = time.time_ns() // 1000

        def is_done() -> bool | None:
            path = f"{self.deployment.search.url}/.dynamo-opensearch-state/_doc/follow%7Cmembers-live"
            state = http.call(path)["_source"]["value"]
            return (state["done_us"] >= moment_us or None) if state["joined"] else True

        self._ask_the_follower(moment_us)
        wait_for(is_done, timeout_s, "the follower to be done")

    def _ask_the_follower(self, moment_us: int) -> None:
        """It may be away while the stream is silent; this is what a waiting task says."""
        body = {"key": "asked|members-live", "value": {"moment_us": moment_us}}
        path = f"{self.deployment.search.url}/.dynamo-opensearch-state/_doc/asked%7Cmembers-live"
        http.call(path, method="PUT", body=body)

    def replay_dead_letters(self) -> int:
        """Write the newest image of every key in the queue to the index, as a person would do by hand.

        With a version above any stamp so far, since nothing writes any more. Returns the messages.
        """
        keys: set[str] = set()
        messages = 0
        streams = oracle.client(self.deployment.aws.url, "dynamodbstreams")
        while batch := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                keys |= _keys_of(json.loads(message["Body"])["DDBStreamBatchInfo"], streams)
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                messages += 1
        for index in self.living_indices():
            for key in keys:
                self._put_as_the_table_has_it(index, key)
        return messages

    def living_indices(self) -> list[str]:
        """Behind the alias, and kept."""
        found = self.deployment.search_call("/_cat/aliases/members-live*?format=json")
        return sorted({one["index"] for one in found})

    def _put_as_the_table_has_it(self, index: str, key: str) -> None:
        item = self.deployment.dynamodb.get_item(
            TableName=members.TABLE, Key={members.HASH_KEY: {"S": key}}, ConsistentRead=True
        ).get("Item")
        path = f"/{index}/_doc/{key}"
        if item is None:
            if self.deployment.search_call(f"/{index}/_count", "POST", {"query": {"ids": {"values": [key]}}})["count"]:
                self.deployment.search_call(path, "DELETE")
            return
        document = {name: _json(value) for name, value in oracle.plain_item(item).items()}
        self.deployment.search_call(path, "PUT", document)

    def differences(self, index: str) -> list[str]:
        """Every way in which index and table are not equal, key by key and document by document, by the oracle."""
        wanted = oracle.expected(self.deployment.dynamodb, members.TABLE, lambda item: str(item[members.HASH_KEY]))
        return oracle.differences(wanted, oracle.documents(self.deployment.search.url, index))

    def assert_equal(self, index: str) -> None:
        """Index and table hold the same."""
        differences = self.differences(index)
        assert differences == [], f"{len(differences)} differences in {index}: {differences[:5]}"

    def assert_readers_saw_no_gap(self) -> None:
        """No error, and no member that stays vanished."""
        assert self.reader.errors == []
        assert self.reader.vanished == []
        assert min(self.reader.searches, self.reader.gets) > 100


def _json(value: Any) -> Any:
    """Numbers as JSON has them."""
    if isinstance(value, dict):
        return {name: _json(member) for name, member in value.items()}
    if isinstance(value, list):
        return sorted((_json(member) for member in value), key=str)
    if hasattr(value, "as_tuple"):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _keys_of(batch: dict[str, Any], streams: Any) -> set[str]:
    """The members in a range of the stream, both ends included."""
    token = streams.get_shard_iterator(
        StreamArn=batch["streamArn"],
        ShardId=batch["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=batch["startSequenceNumber"],
    )["ShardIterator"]
    keys: set[str] = set()
    while True:
        answer = streams.get_records(ShardIterator=token, Limit=max(1, min(1000, int(batch["batchSize"]))))
        token = answer["NextShardIterator"]
        for record in answer["Records"]:
            number = int(record["dynamodb"]["SequenceNumber"])
            if number > int(batch["endSequenceNumber"]):
                return keys
            keys.add(record["dynamodb"]["Keys"][members.HASH_KEY]["S"])
            if number == int(batch["endSequenceNumber"]):
                return keys


@contextmanager
def indexed(deployment: Deployment, *, lag_s: Lag = 0.0, fails: FailingShare | None = None) -> Iterator[Any]:
    """The reference indexer behind a local event source mapping; yields it, the SQS client and the queue's address."""
    sqs = oracle.client(deployment.aws.url, "sqs")
    queue_url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    variables = {
        "DYNAMO_OPENSEARCH_INCLUDE": str(deployment.include),
        "DYNAMO_OPENSEARCH_TARGET_FILE": "targets/members.yaml",
        "DYNAMO_OPENSEARCH_URL": deployment.search.url,
        "DYNAMO_OPENSEARCH_AUTH": "none",
        "DYNAMO_OPENSEARCH_DYNAMODB_URL": deployment.aws.url,
        "AWS_REGION": REGION,
    }
    with ExitStack() as stack:
        stack.enter_context(
            mock.patch.dict(
                os.environ, {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": REGION}
            )
        )
        made = indexer.make_indexer(read_settings(variables))

        def handle(event: Any, context: Any) -> Any:
            return made.index(event, context.get_remaining_time_in_millis() / 1000).response()

        arn = deployment.dynamodb.describe_table(TableName=members.TABLE)["Table"]["LatestStreamArn"]
        settings = MappingSettings(
            batch_size=200, retries=RetrySettings(maximum_retries=2, bisects=True), lag_s=lag_s, fails=fails
        )
        mapping = stack.enter_context(
            EventSourceMapping(
                oracle.client(deployment.aws.url, "dynamodbstreams"),
                arn,
                handle,
                settings,
                SqsDestination(client=sqs, queue_url=queue_url),
            )
        )
        yield mapping, sqs, queue_url


@contextmanager
def live_members(
    deployment: Deployment,
    *,
    stable: int,
    churned: int = 500,
    per_s: float = 260.0,
    lag_s: Lag = 0.0,
    fails: FailingShare | None = None,
    new_field: str | None = None,
) -> Iterator[LiveMembers]:
    """Writers, indexer and readers while the context lasts. The table holds members 0 to ``stable`` - 1 already."""
    with ExitStack() as stack:
        mapping, sqs, queue_url = stack.enter_context(indexed(deployment, lag_s=lag_s, fails=fails))
        reader = AliasReader(deployment.search.url, "members-live", range(stable))
        traffic = TableTraffic(deployment.aws.url, members.TABLE, stable, churned, per_s=per_s, new_field=new_field)
        stack.enter_context(traffic)
        stack.enter_context(reader)
        yield LiveMembers(
            deployment=deployment, traffic=traffic, reader=reader, mapping=mapping, sqs=sqs, queue_url=queue_url
        )


def unpause_all(deployment: Deployment) -> None:
    """The DAGs of a rebuild, ready to run."""
    for dag_id in (REINDEX, ROLLBACK, FOLLOW, CLEAN_UP):
        deployment.airflow.wait_for_dag(dag_id)
        deployment.airflow.unpause(dag_id)


def wait_for_end(deployment: Deployment, run_id: str, dag_id: str, timeout_s: float = 400.0) -> str:
    """The run's state at its end; on a failure with what its tasks came to."""
    state = deployment.finish(run_id, timeout_s, dag_id)
    if state != "success":
        print(deployment.states(run_id, dag_id))
    return state
