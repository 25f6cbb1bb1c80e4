"""The tasks that enable the event source mapping: skipped without an indexer; one waits for what the other returned."""

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from dynamo_opensearch.core.cutover.mapping.errors import MappingBusyError
from dynamo_opensearch.operators.cutover import mapping
from dynamo_opensearch.operators.cutover.mapping import EnableMappingOperator, WaitForMappingOperator
from tests.support.adapters import FakeInstance
from tests.support.scripted_aws import ScriptedAws
from tests.support.scripted_control_plane import scripted_side
from tests.support.scripted_lambda import ALIAS, FUNCTION
from tests.support.scripted_mappings import ScriptedMappings, uuid_of

ONE = uuid_of(1)
SETTINGS = {"indexer": {"function": FUNCTION, "alias": ALIAS}, "dead_letters": {"queue": "members-dlq"}}


@pytest.fixture
def aws() -> ScriptedAws:
    return ScriptedAws()


@pytest.fixture
def mappings(aws: ScriptedAws) -> ScriptedMappings:
    return ScriptedMappings(aws)


@pytest.fixture(autouse=True)
def connected(monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws) -> None:
    connect(monkeypatch, aws, SETTINGS)


def connect(monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, settings: dict[str, Any]) -> None:
    side = scripted_side(settings=settings, aws=aws.plane, clock=aws.clock)
    monkeypatch.setattr(mapping, "side_of", lambda name: side if name == "members" else None)


def enable() -> str:
    return EnableMappingOperator(task_id="enable_mapping", target="members").execute(FakeInstance().context)


def wait(uuid: str, **arguments: Any) -> str:
    operator = WaitForMappingOperator(task_id="wait_for_mapping", target="members", mapping=uuid, **arguments)
    return operator.execute(FakeInstance().context)


def test_a_mapping_is_made_and_waited_for(
    mappings: ScriptedMappings, aws: ScriptedAws, capsys: pytest.CaptureFixture[str]
) -> None:
    uuid = enable()
    assert uuid == ONE
    assert mappings.found[ONE]["State"] != "Enabled"
    assert f"event source mapping {ONE} is Enabled" in wait(uuid)
    assert f"event source mapping {ONE} to indexer:live was made" in capsys.readouterr().out
    assert mappings.writes == ["lambda.CreateEventSourceMapping"]


def test_without_an_indexer_there_is_nothing_to_enable(
    monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, mappings: ScriptedMappings
) -> None:
    connect(monkeypatch, aws, {})
    with pytest.raises(AirflowSkipException, match=r"environments\.production\.indexer is not in the target file"):
        enable()
    assert aws.calls == []


def test_what_a_person_has_to_mend_is_not_tried_again(mappings: ScriptedMappings) -> None:
    mappings.add(ONE, FunctionResponseTypes=[])
    with pytest.raises(AirflowFailException, match="partial batch responses"):
        enable()


def test_what_passes_is_left_to_airflows_retries(mappings: ScriptedMappings) -> None:
    mappings.add(ONE, "Updating")
    with pytest.raises(MappingBusyError):
        enable()
    with pytest.raises(MappingBusyError, match="for 120 s now"):
        wait(ONE, wait_min=2)


def test_one_that_was_disabled_meanwhile_fails_the_wait(mappings: ScriptedMappings) -> None:
    mappings.add(ONE, "Disabled")
    with pytest.raises(AirflowFailException, match="somebody has disabled"):
        wait(ONE)
