"""What a cutover deploys to, on MiniStack: a judge with clients of its own, and processes that a test may kill."""

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.core.targets.model import Target
from tests.support import oracle
from tests.support.cutover_steps import Steps
from tests.support.dying import Fate
from tests.support.fault_proxy import Exchange, FaultProxy
from tests.support.indexing import create_streaming_table, stream_arn
from tests.support.rig import Rig
from tests.support.rig_connections import target_of
from tests.support.scripted_lambda import archive
from tests.support.service_rig import ALIAS, ServiceRig

RUN_LIMIT_S = 60.0


class DeployRig(ServiceRig):
    """Names are unique; so is each archive."""

    def __init__(self, rig: Rig, aws_url: str = "") -> None:
        super().__init__(rig, aws_url)
        self.settings: dict[str, Any] = {"indexer": {"function": self.name, "alias": ALIAS}}
        """Of the environment in the target's file."""

    @property
    def target(self) -> Target:
        return target_of(self.rig, environments={"local": self.settings})

    def steps(self, fate: Fate | None = None) -> Steps:
        """As one process has them."""
        return Steps(self.client, self.rig.patient, self.state_index, self.target, fate)

    @property
    def state_index(self) -> str:
        return f"{self.rig.base}-state"

    def cutover(self) -> Run:
        """A run that is triggered now."""
        self.runs += 1
        return Run(
            deployment="local",
            dag_id="members_cutover",
            run_id=f"c{self.runs}",
            triggered_us=time.time_ns() // 1000,
        )

    def package(self) -> bytes:
        """Code that nobody has seen before."""
        return archive(f"def handler(event, context): return '{uuid.uuid4().hex}'")

    def make_function(self, code: bytes = b"") -> None:
        """As Terraform makes it: no version, no alias."""
        iam = oracle.client(self.direct, "iam")
        role = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        iam.close()
        self.functions.create_function(
            FunctionName=self.name,
            Runtime="python3.12",
            Role=role,
            Handler="handler.handler",
            Code={"ZipFile": code or self.package()},
            Timeout=60,
        )
        self.functions.get_waiter("function_active_v2").wait(
            FunctionName=self.name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )

    def bring(self, code: bytes) -> None:
        """As another pipeline does it."""
        self.functions.update_function_code(FunctionName=self.name, ZipFile=code)

    @property
    def code(self) -> str:
        """Digest of what was deployed last."""
        return str(self.functions.get_function_configuration(FunctionName=self.name)["CodeSha256"])

    @property
    def published(self) -> dict[str, str]:
        """Digest of the code of each published version."""
        found = self.functions.list_versions_by_function(FunctionName=self.name)["Versions"]
        return {one["Version"]: one["CodeSha256"] for one in found if one["Version"] != "$LATEST"}

    def make_stream(self) -> str:
        """The table with its stream, and the queue; the stream's ARN."""
        sqs = oracle.client(self.direct, "sqs")
        self.queue_url = sqs.create_queue(QueueName=self.queue)["QueueUrl"]
        sqs.close()
        self.settings["dead_letters"] = {"queue": self.queue}
        return create_streaming_table(self.rig)

    @property
    def queue(self) -> str:
        return f"{self.name}-dlq"

    @property
    def mappings(self) -> list[dict[str, Any]]:
        """All of the function, whatever they read."""
        return list(self.functions.list_event_source_mappings(FunctionName=self.name)["EventSourceMappings"])

    def map_as(self, alias: str = f":{ALIAS}", **settings: Any) -> str:
        """A mapping that somebody else has made, as the contract has it but for these settings; its UUID."""
        given = {
            "EventSourceArn": stream_arn(self.rig),
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 100,
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:sqs:eu-central-1:000000000000:{self.queue}"}},
        }
        made = self.functions.create_event_source_mapping(FunctionName=f"{self.name}{alias}", **{**given, **settings})
        return str(made["UUID"])

    def close(self) -> None:
        """Nothing goes on reading a stream."""
        for one in self.mappings:
            self.functions.delete_event_source_mapping(UUID=one["UUID"])
        super().close()

    @property
    def recorded(self) -> list[tuple[str, str, str, str]]:
        """What OpenSearch holds of the changes of all components."""
        found = self.rig.call(f"{self.state_index}/_doc/services%7Cmembers-live")["_source"]["value"]
        return [
            (one["purpose"], one["was"]["version"], one["shall"]["version"], one["outcome"])
            for changes in found.values()
            for one in changes
        ]


class Uploads:
    """Calls of one operation by a rig's client that reached the server."""

    def __init__(self, rig: DeployRig, service: str, operation: str) -> None:
        self.count = 0
        rig.client(service).meta.events.register(f"after-call.{service}.{operation}", self._counted)

    def _counted(self, **_: Any) -> None:
        self.count += 1


def killed_in(
    rig: DeployRig, proxy: FaultProxy, is_last: Callable[[Exchange], bool], step: str, argument: str = ""
) -> Callable[[], str]:
    """A process that was killed while the answer to a request, which the server has carried out, was held back.

    Returns what does the step once more, in another process, and gives what it printed.
    """
    is_carried_out, is_free = threading.Event(), threading.Event()

    def hang(exchange: Exchange) -> None:
        exchange.forward()
        is_carried_out.set()
        is_free.wait(RUN_LIMIT_S)
        exchange.reset()

    proxy.on(is_last, hang)
    target = rig.target.model_dump_json()
    servers = (proxy.url, rig.rig.direct_opensearch, rig.state_index)
    command = [sys.executable, "-m", "tests.support.cutover_process", *servers, target, step, argument]
    variables = {"PYTHONPATH": ".:plugins"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        assert is_carried_out.wait(RUN_LIMIT_S), "it never asked for that"
        process.send_signal(signal.SIGKILL)
    is_free.set()
    assert process.returncode == -signal.SIGKILL

    def again() -> str:
        finished = subprocess.run(
            command, capture_output=True, text=True, env=variables, timeout=RUN_LIMIT_S, check=False
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.strip()

    return again
