"""What a cutover deploys to, on MiniStack: a judge with clients of its own, and processes that a test may kill."""

import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.core.targets.environment import Environment
from tests.support import oracle
from tests.support.cutover_steps import Steps
from tests.support.dying import Fate
from tests.support.fault_proxy import Exchange, FaultProxy
from tests.support.scripted_lambda import archive
from tests.support.service_rig import ALIAS, ServiceRig

RUN_LIMIT_S = 60.0


class DeployRig(ServiceRig):
    """Names are unique; so is each archive."""

    @property
    def settings(self) -> dict[str, Any]:
        """Of the target's file."""
        return {"indexer": {"function": self.name, "alias": ALIAS}}

    def steps(self, fate: Fate | None = None, **changes: Any) -> Steps:
        """As one process has them."""
        environment = Environment.model_validate({**self.settings, **changes})
        return Steps(self.client, self.rig.patient, self.state_index, environment, fate)

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
    environment = json.dumps(rig.settings)
    servers = (proxy.url, rig.rig.direct_opensearch, rig.state_index)
    command = [sys.executable, "-m", "tests.support.cutover_process", *servers, environment, step, argument]
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
