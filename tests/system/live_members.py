"""Members that are written, indexed and read all the time, beside a running Airflow."""

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
from tools.local.esm_shard import StartingPosition
from tools.local.event_source_mapping import EventSourceMapping, Lag, MappingSettings
from tools.local.ministack import REGION

QUEUE = "members-indexer-dlq"
TWICE_AND_SPLIT = RetrySettings(maximum_retries=2, bisects=True)
REINDEX, ROLLBACK, FOLLOW, CLEAN_UP, REPLAY = (
    "members_reindex",
    "members_rollback_index",
    "sync_follow",
    "sync_index_cleanup",
    "members_dlq_replay",
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
        """No more writes; the indexer works off the stream, and its dead letters are replayed."""
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
        """Let the package replay what is in the queue; the messages that are done."""
        run_id = self.deployment.airflow.trigger(REPLAY, {})
        assert wait_for_end(self.deployment, run_id, REPLAY) == "success"
        report = self.deployment.returned(run_id, "report", dag_id=REPLAY)
        assert report["received"] == report["replayed"]
        return int(report["replayed"])

    def living_indices(self) -> list[str]:
        """Behind the alias, and kept."""
        found = self.deployment.search_call("/_cat/aliases/members-live*?format=json")
        return sorted({one["index"] for one in found})

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


@contextmanager
def indexed(
    deployment: Deployment,
    *,
    lag_s: Lag = 0.0,
    fails: FailingShare | None = None,
    batch_size: int = 200,
    retries: RetrySettings = TWICE_AND_SPLIT,
    starting_position: StartingPosition = "TRIM_HORIZON",
    table: str = members.TABLE,
) -> Iterator[Any]:
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

        arn = deployment.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        settings = MappingSettings(
            batch_size=batch_size, starting_position=starting_position, retries=retries, lag_s=lag_s, fails=fails
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
    """The DAGs that a rebuild under traffic needs, ready to run."""
    for dag_id in (REINDEX, ROLLBACK, FOLLOW, CLEAN_UP, REPLAY):
        deployment.airflow.wait_for_dag(dag_id)
        deployment.airflow.unpause(dag_id)


def wait_for_end(deployment: Deployment, run_id: str, dag_id: str, timeout_s: float = 400.0) -> str:
    """The run's state at its end; on a failure with what its tasks came to."""
    state = deployment.finish(run_id, timeout_s, dag_id)
    if state != "success":
        print(deployment.states(run_id, dag_id))
    return state
