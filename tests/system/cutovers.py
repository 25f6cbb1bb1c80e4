"""A deployment that has everything for a cutover but what the cutover makes."""

import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import oracle
from tests.support.service_rig import create_function
from tests.system.airflow_deployment import Deployment, deployed
from tests.system.live_members import indexed
from tools.local import members

CUTOVER, RECONCILE = "members_cutover", "members_reconcile"
ITEMS = 200
INDEXER, API = "members-indexer", "members-api"
PARTS = """
    indexer:
      function: members-indexer
      alias: live
      package: %s
    api:
      kind: lambda
      function: members-api
      alias: live
      health_url: %s/health
    dead_letters:"""


@contextmanager
def ready_to_go_live(folder: Path, api_url: str) -> Iterator[Deployment]:
    """A table without a stream, functions without an alias on the new version, a queue with its alarm; no index."""
    with deployed(folder) as started:
        package = folder / "indexer.zip"
        package.write_bytes(archive("def handler(event, context): return {'batchItemFailures': []}"))
        started.change_target(lambda text: text.replace("\n    dead_letters:", PARTS % (package, api_url), 1))
        for dag_id in (CUTOVER, RECONCILE):
            started.airflow.wait_for_dag(dag_id)
            started.airflow.unpause(dag_id)
        started.forget_everything(ITEMS)
        started.dynamodb.update_table(TableName=members.TABLE, StreamSpecification={"StreamEnabled": False})
        make_ready(started)
        yield started


def archive(code: str) -> bytes:
    """As Lambda takes it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("handler.py", code)
    return content.getvalue()


def make_ready(deployment: Deployment) -> None:
    """What a team's Terraform would have made."""
    url, queue = deployment.aws.url, members.DEAD_LETTER_QUEUE
    sqs = oracle.client(url, "sqs")
    attributes = {"SqsManagedSseEnabled": "true", "MessageRetentionPeriod": "1209600"}
    sqs.set_queue_attributes(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], Attributes=attributes)
    oracle.client(url, "cloudwatch").put_metric_alarm(
        AlarmName="depth",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": queue}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=["arn:aws:sns:eu-central-1:000000000000:on-call"],
    )
    setting = {"persistent": {"action.auto_create_index": "-members*,+*"}}
    deployment.search_call("/_cluster/settings", "PUT", setting)
    create_function(url, INDEXER, versions=1)
    create_function(url, API, versions=2)
    oracle.client(url, "lambda").create_alias(FunctionName=API, Name="live", FunctionVersion="1")


@contextmanager
def indexer_once_it_is_called(deployment: Deployment) -> Iterator[None]:
    """The reference indexer, from the moment on at which the event source mapping is enabled; MiniStack calls none."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.2):
            if [one for one in mappings(deployment) if one["State"] == "Enabled"]:
                with indexed(deployment):
                    over.wait()

    thread = threading.Thread(target=run, name="indexer")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def mappings(deployment: Deployment) -> list[dict[str, Any]]:
    """Event source mappings, as MiniStack has them."""
    found: list[dict[str, Any]] = oracle.client(deployment.aws.url, "lambda").list_event_source_mappings()[
        "EventSourceMappings"
    ]
    return found
