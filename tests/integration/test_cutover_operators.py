"""The tasks of a cutover that change services, one after the other, by a target's file and Airflow's connections."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from airflow.providers.common.compat.sdk import TaskDeferred

from dynamo_opensearch.operators.cutover.api import DeployApiOperator
from dynamo_opensearch.operators.cutover.deploying import DeployIndexerOperator, MoveIndexerOperator
from dynamo_opensearch.operators.cutover.mapping import EnableMappingOperator, WaitForMappingOperator
from dynamo_opensearch.sensors.service_settled import ServiceSettledSensor
from tests.integration.conftest import MakeRig
from tests.support.adapters import FakeInstance
from tests.support.deploy_rig import DeployRig
from tests.support.scripted_lambda import digest
from tests.support.service_rig import ALIAS
from tools.local.connections import aws_connection, opensearch_connection
from tools.local.processes import Server


class Runs(FakeInstance):
    """A task instance whose run is triggered now."""

    @property
    def context(self) -> Any:
        return {**super().context, "dag_run": self}

    @property
    def run_after(self) -> datetime:
        return datetime.now(UTC)

    @property
    def start_date(self) -> datetime | None:
        return None


class Tasks:
    """Those of one run, with what they return handed on as Airflow does it."""

    def __init__(self, target: str, run_id: str) -> None:
        self.target, self.instance = target, Runs(dag_id="members_cutover", run_id=run_id)

    def go_through(self) -> dict[str, Any]:
        """All of them."""
        deployed = self.run(DeployIndexerOperator)
        moved = self.run(MoveIndexerOperator, deployed=deployed)
        self.run(ServiceSettledSensor, component="lambda_indexer", shall=moved)
        mapping = self.run(EnableMappingOperator)
        self.run(WaitForMappingOperator, mapping=mapping)
        served = self.run(DeployApiOperator)
        self.run(ServiceSettledSensor, component=self.instance.pushed["component"], shall=served)
        return {"deployed": deployed, "mapping": mapping, "served": served}

    def run(self, operator: Any, **arguments: Any) -> Any:
        task = operator(task_id="task", target=self.target, **arguments)
        try:
            returned = task.execute(self.instance.context)
        except TaskDeferred as deferred:
            look, deadline = cast("Any", deferred.trigger).make_look(), time.monotonic() + 60
            while (event := look()) is None:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            returned = task.resume(self.instance.context, event)
        return json.loads(json.dumps(returned))


@pytest.fixture
def rig(
    make_rig: MakeRig, opensearch_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DeployRig]:
    found = DeployRig(make_rig())
    (tmp_path / "targets").mkdir()
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "members.json").write_text('{"mappings": {}}')
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(found.direct))
    monkeypatch.setenv(
        "AIRFLOW_CONN_OPENSEARCH_DEFAULT", opensearch_connection(opensearch_server.host, opensearch_server.port)
    )
    monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path))
    monkeypatch.setenv("DYNAMO_OPENSEARCH_STATE_INDEX", f".{found.state_index}")
    yield found
    found.close()


def test_from_a_bare_function_to_an_indexer_that_is_called_and_a_new_api_and_a_second_run_does_nothing(
    rig: DeployRig, tmp_path: Path
) -> None:
    rig.make_function()
    rig.make_stream()
    rig.create_service(definitions=2, at=1)
    code = rig.package()
    (tmp_path / "indexer.zip").write_bytes(code)
    rig.settings["indexer"]["package"] = "indexer.zip"
    rig.settings["api"] = {"kind": "ecs", "cluster": rig.name, "service": "api"}
    target = rig.target.model_dump(mode="json", exclude_defaults=True)
    (tmp_path / "targets" / "one.yaml").write_text(yaml.safe_dump(target))

    first = Tasks(rig.target.name, "c1").go_through()

    assert (rig.published, rig.invoked) == ({"1": digest(code)}, ("1", {}))
    assert [(one["UUID"], one["State"]) for one in rig.mappings] == [(first["mapping"], "Enabled")]
    assert rig.mappings[0]["FunctionArn"].endswith(f":{rig.name}:{ALIAS}")
    assert rig.served == (2, first["served"]["token"])

    again = Tasks(rig.target.name, "c2").go_through()

    assert (again["mapping"], again["served"]) == (first["mapping"], first["served"])
    assert again["deployed"] == first["deployed"] | {"was_uploaded": False, "was_published": False}
    assert (rig.published, rig.invoked, rig.served) == ({"1": digest(code)}, ("1", {}), (2, first["served"]["token"]))
    assert len(rig.mappings) == 1
    found = rig.rig.call(f".{rig.state_index}/_doc/services%7C{rig.target.alias}")["_source"]["value"]
    assert {name: [one["outcome"] for one in changes] for name, changes in found.items()} == {
        "lambda_indexer": ["stable"],
        "ecs": ["stable"],
    }
    rig.rig.call(f".{rig.state_index}", "DELETE")
