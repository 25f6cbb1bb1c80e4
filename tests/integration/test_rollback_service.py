"""Services and aliases go back and forth on MiniStack, with the record in OpenSearch; kills, races, lost answers."""

import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.services.errors import ServiceMovedError, ServiceRollbackRefusedError
from dynamo_opensearch.core.services.health import health_probe
from dynamo_opensearch.core.services.settling import Outcome
from tests.integration.conftest import MakeRig
from tests.support import faults
from tests.support.dying import Fate
from tests.support.fault_proxy import Exchange, FaultProxy
from tests.support.recording_server import RecordingServer, recording
from tests.support.remembered_deployments import RememberedDeployments
from tests.support.service_rig import ALIAS, Parts, ServiceRig, Tasks
from tools.local import ports

MakeServices = Callable[..., ServiceRig]
LEAST_CALLS = 10
"""To AWS and OpenSearch, in a run; each of them is the last of some process."""


@pytest.fixture
def make_services(make_rig: MakeRig) -> Iterator[MakeServices]:
    made: list[ServiceRig] = []

    def make(aws_url: str = "") -> ServiceRig:
        made.append(ServiceRig(make_rig(), aws_url))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def services(make_services: MakeServices) -> ServiceRig:
    return make_services()


def recorded(services: ServiceRig, component: str) -> list[tuple[str, str, str]]:
    """What OpenSearch holds of the changes of a component."""
    found = services.rig.call(f"{services.rig.base}-state/_doc/services%7Cmembers-live")["_source"]["value"]
    return [(one["was"]["version"], one["shall"]["version"], one["outcome"]) for one in found[component]]


def go_through(services: ServiceRig, component: str) -> str:
    """A whole run; what came of it."""
    _, outcome = Tasks(services, component, services.run()).go_through()
    return outcome.text


def test_a_service_goes_back_to_what_a_cutover_replaced_and_forward_again(services: ServiceRig) -> None:
    services.create_service(definitions=3)
    services.deploy(3)
    arns = [f"arn:aws:ecs:eu-central-1:000000000000:task-definition/{services.name}:{number}" for number in (1, 3)]
    Parts(services, Fate()).record("ecs", *arns)

    assert f"stable on {services.name}:1: 2 of 2 tasks" in go_through(services, "ecs")
    assert services.served[0] == 1
    assert f"stable on {services.name}:3" in go_through(services, "ecs")
    assert services.served[0] == 3
    assert recorded(services, "ecs")[1:] == [(arns[1], arns[0], "stable"), (arns[0], arns[1], "stable")]


def test_a_service_of_which_nothing_is_known_stays_where_it_is(services: ServiceRig) -> None:
    services.create_service(definitions=3)
    services.deploy(3)
    with pytest.raises(ServiceRollbackRefusedError, match="nothing is known that was before it"):
        go_through(services, "ecs")
    assert services.served[0] == 3


def test_a_service_goes_back_by_its_service_deployments(services: ServiceRig) -> None:
    services.create_service(definitions=6)
    past = RememberedDeployments(services.client("ecs"), services.name)
    for hours_ago, number, status in (
        (9, 1, "SUCCESSFUL"),
        (8, 2, "SUCCESSFUL"),
        (7, 3, "ROLLBACK_SUCCESSFUL"),
        (6, 4, "SUCCESSFUL"),
        (5, 5, "STOPPED"),
        (4, 6, "SUCCESSFUL"),
    ):
        past.add(number, status, hours_ago)
    services.deploy(6)
    services.ecs.deregister_task_definition(taskDefinition=f"{services.name}:4")

    plan, outcome = Tasks(services, "ecs", services.run()).go_through()

    assert services.served[0] == 2
    assert [one.partition(" ")[0] for one in plan.passed_over] == [f"{services.name}:4", f"{services.name}:3"]
    assert "is INACTIVE" in plan.passed_over[0]
    assert plan.details == (
        f"{services.name}:6: web registry/api:6",
        f"{services.name}:2: web registry/api:2",
    )
    assert outcome.is_well
    go_through(services, "ecs")
    assert services.served[0] == 6


def test_a_deployment_between_plan_and_change_wins(services: ServiceRig) -> None:
    services.create_service(definitions=3)
    past = RememberedDeployments(services.client("ecs"), services.name)
    for number in (1, 2):
        past.add(number, hours_ago=3 - number)
    services.deploy(2)
    tasks, parts = Tasks(services, "ecs", services.run()), Parts(services, Fate())
    plan = tasks.plan(parts)
    services.deploy(3)
    with pytest.raises(ServiceMovedError, match=f"serves {services.name}:3, the plan expected {services.name}:2"):
        tasks.change(parts, plan)
    assert services.served[0] == 3


def test_an_alias_goes_back_and_forward_with_its_weights_cleared_and_put_back(services: ServiceRig) -> None:
    services.create_function(versions=12, at=12, v10=0.25)
    go_through(services, "lambda_indexer")
    assert services.invoked == ("10", {})
    go_through(services, "lambda_indexer")
    assert services.invoked == ("12", {"10": 0.25})
    services.move(11)
    assert services.invoked == ("11", {"10": 0.25}), "weights stay when only the version is changed"


def test_an_alias_without_a_record_goes_to_the_next_lower_number_that_is_there(services: ServiceRig) -> None:
    services.create_function(versions=12, at=11)
    services.functions.delete_function(FunctionName=services.name, Qualifier="10")
    go_through(services, "lambda_indexer")
    assert services.invoked == ("9", {})


def test_an_alias_that_is_moved_between_plan_and_change_is_left_alone(services: ServiceRig) -> None:
    services.create_function(versions=3, at=2)
    tasks, parts = Tasks(services, "lambda_indexer", services.run()), Parts(services, Fate())
    plan = tasks.plan(parts)
    services.move(3)
    with pytest.raises(ServiceMovedError, match="serves version 3, the plan expected version 2"):
        tasks.change(parts, plan)
    assert services.invoked == ("3", {})


def test_an_alias_that_was_moved_away_and_back_is_left_alone_too(services: ServiceRig) -> None:
    services.create_function(versions=3, at=2)
    tasks, parts = Tasks(services, "lambda_indexer", services.run()), Parts(services, Fate())
    plan = tasks.plan(parts)
    services.move(3)
    services.move(2)
    with pytest.raises(ServiceMovedError):
        tasks.change(parts, plan)
    assert services.invoked == ("2", {})


def test_an_answer_that_is_lost_does_not_move_an_alias_twice(
    make_services: MakeServices, dynamodb_proxy: FaultProxy
) -> None:
    services = make_services(dynamodb_proxy.url)
    services.create_function(versions=3, at=3)

    def is_update(exchange: Exchange) -> bool:
        return exchange.method == "PUT" and exchange.path.endswith(f"/aliases/{ALIAS}")

    dynamodb_proxy.on(is_update, faults.reset_in_mid_answer())
    go_through(services, "lambda_indexer")
    assert services.invoked == ("2", {})
    assert len([one for one in dynamodb_proxy.requests if one.method == "PUT"]) == 2
    assert recorded(services, "lambda_indexer") == [("3", "2", "stable")]


def test_a_right_that_is_missing_is_named(make_services: MakeServices, dynamodb_proxy: FaultProxy) -> None:
    services = make_services(dynamodb_proxy.url)
    services.create_service(definitions=2)
    services.deploy(2)
    past = RememberedDeployments(services.client("ecs"), services.name)
    for number in (1, 2):
        past.add(number, hours_ago=3 - number)
    dynamodb_proxy.on("UpdateService", faults.aws_error("AccessDeniedException", "no identity-based policy", prefix=""))
    with pytest.raises(AccessDeniedError, match=f"ecs refused ecs:UpdateService on '{services.name}/api'"):
        go_through(services, "ecs")
    assert services.served[0] == 2


def kill_at_each_call(services: ServiceRig, component: str) -> Iterator[tuple[int, Tasks, Outcome]]:
    """Runs, of which each is killed one call later than the one before it; the last is not killed at all."""
    for survived in itertools.count():
        if component == "ecs":
            time.sleep(1.0)  # MiniStack's times are whole seconds, and two deployments in one of them have no order
        tasks = Tasks(services, component, services.run())
        _, outcome = tasks.go_through(survived)
        yield survived, tasks, outcome
        if not tasks.was_killed:
            assert survived > LEAST_CALLS
            return


def test_a_service_rollback_that_is_killed_at_any_call_ends_the_same_with_one_deployment(services: ServiceRig) -> None:
    services.create_service(definitions=2)
    past = RememberedDeployments(services.client("ecs"), services.name)
    for number in (1, 2):
        past.add(number, hours_ago=3 - number)
    services.deploy(2)
    deployments: list[str] = []
    services.client("ecs").meta.events.register("after-call.ecs.UpdateService", lambda **_: deployments.append("one"))
    at = 2
    for survived, _, outcome in kill_at_each_call(services, "ecs"):
        at = 3 - at
        assert outcome.is_well
        assert services.served[0] == at, f"killed after {survived} calls"
        assert len(deployments) == survived + 1, f"killed after {survived} calls"
    assert len(recorded(services, "ecs")) == len(deployments)
    assert {outcome for _, _, outcome in recorded(services, "ecs")} == {"stable"}


def test_an_alias_rollback_that_is_killed_at_any_call_ends_the_same(services: ServiceRig) -> None:
    services.create_function(versions=2, at=2)
    at = 2
    for survived, _, outcome in kill_at_each_call(services, "lambda_indexer"):
        at = 3 - at
        assert outcome.is_well
        assert services.invoked == (str(at), {}), f"killed after {survived} calls"
    assert {outcome for _, _, outcome in recorded(services, "lambda_indexer")} == {"stable"}


def test_a_process_that_is_killed_after_the_alias_was_moved_is_followed_by_one_that_finds_it_moved(
    make_services: MakeServices, dynamodb_proxy: FaultProxy
) -> None:
    services = make_services(dynamodb_proxy.url)
    services.create_function(versions=3, at=3)
    plan = Tasks(services, "lambda_indexer", services.run()).plan(Parts(services, Fate()))
    is_free = threading.Event()

    def hang(exchange: Exchange) -> None:
        exchange.forward()
        is_free.wait(30)
        exchange.reset()

    dynamodb_proxy.on(lambda exchange: exchange.method == "PUT", hang)
    rig = services.rig
    command = [
        sys.executable,
        "-m",
        "tests.support.rollback_process",
        dynamodb_proxy.url,
        rig.direct_opensearch,
        f"{rig.base}-state",
        services.name,
        ALIAS,
        json.dumps(plan.to_json()),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ".:plugins"}) as first:
        deadline = time.monotonic() + 60
        while services.invoked != ("2", {}):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
    is_free.set()
    assert first.returncode == -signal.SIGKILL
    assert recorded(services, "lambda_indexer") == [("3", "2", "begun")]

    again = subprocess.run(
        command, capture_output=True, text=True, env={"PYTHONPATH": ".:plugins"}, timeout=60, check=True
    )
    assert again.stdout == "2\n"
    assert services.invoked == ("2", {})
    assert len([one for one in dynamodb_proxy.requests if one.method == "PUT"]) == 1
    assert recorded(services, "lambda_indexer") == [("3", "2", "begun")]


@pytest.fixture
def health() -> Iterator[RecordingServer]:
    with recording() as server:
        yield server


def test_a_service_is_well_when_it_answers_200(health: RecordingServer) -> None:
    health.answer = lambda _request: (200, {})
    assert health_probe(f"{health.url}/health")() is None
    assert [one.target for one in health.requests] == ["/health"]


@pytest.mark.parametrize("status", [204, 404, 500, 503])
def test_any_other_answer_is_told_without_the_address(health: RecordingServer, status: int) -> None:
    health.answer = lambda _request: (status, {})
    assert health_probe(f"{health.url}/health?token=secret")() == f"answered {status}"


def test_an_address_at_which_nobody_answers_is_told_without_the_address() -> None:
    url = f"http://127.0.0.1:{ports.free_port()}/health?token=secret"
    assert health_probe(url)() == "did not answer (ConnectionRefusedError)"
