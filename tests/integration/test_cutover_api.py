"""The API's new version on MiniStack: an ECS service and a Lambda alias, twice, killed at each call, taken back."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from dynamo_opensearch.core.cutover.serving import VersionUnfitError
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.services.errors import ServiceMovedError
from tests.integration.conftest import MakeRig
from tests.support import faults
from tests.support.deploy_rig import DeployRig, Uploads, killed_in
from tests.support.dying import Died, Fate
from tests.support.fault_proxy import Exchange, FaultProxy
from tests.support.service_rig import ALIAS, Tasks

MakeDeploy = Callable[..., DeployRig]
PREFIX = "arn:aws:ecs:eu-central-1:000000000000:task-definition"


@pytest.fixture
def make_deploy(make_rig: MakeRig) -> Iterator[MakeDeploy]:
    made: list[DeployRig] = []

    def make(aws_url: str = "") -> DeployRig:
        made.append(DeployRig(make_rig(), aws_url))
        return made[-1]

    yield make
    for one in made:
        one.close()


def with_service(rig: DeployRig, definitions: int = 3, at: int = 2) -> DeployRig:
    """A service of so many task definitions."""
    rig.create_service(definitions, at)
    rig.settings = {"api": {"kind": "ecs", "cluster": rig.name, "service": "api"}}
    return rig


def with_alias(rig: DeployRig, versions: int = 3, at: int = 1) -> DeployRig:
    """A function's alias."""
    rig.create_function(versions, at)
    rig.settings = {"api": {"kind": "lambda", "function": rig.name, "alias": ALIAS}}
    return rig


def register(rig: DeployRig, family: str = "") -> int:
    """As a pipeline does it; the revision."""
    container = {"name": "web", "image": "registry/api:next", "memory": 64}
    found = rig.ecs.register_task_definition(family=family or rig.name, containerDefinitions=[container])
    return int(found["taskDefinition"]["revision"])


@pytest.fixture
def service(make_deploy: MakeDeploy) -> DeployRig:
    return with_service(make_deploy())


@pytest.fixture
def alias(make_deploy: MakeDeploy) -> DeployRig:
    return with_alias(make_deploy())


def test_the_newest_is_put_in_service_becomes_stable_and_a_second_run_deploys_nothing(service: DeployRig) -> None:
    run = service.cutover()
    served = service.steps().release(run)
    assert "is stable" in service.steps().settle(served, run).text
    assert service.served == (3, served.now.token)
    again = service.cutover()
    second = service.steps().release(again)
    assert not second.was_changed
    assert service.steps().settle(second, again).is_well
    assert service.served == (3, served.now.token)
    assert service.recorded == [("cutover", f"{PREFIX}/{service.name}:2", f"{PREFIX}/{service.name}:3", "stable")]


def test_a_rollback_takes_the_service_back_and_forward_again(service: DeployRig) -> None:
    run = service.cutover()
    service.steps().settle(service.steps().release(run), run)
    Tasks(service, "ecs", service.run()).go_through()
    assert service.served[0] == 2
    Tasks(service, "ecs", service.run()).go_through()
    assert service.served[0] == 3


def test_families_that_begin_alike_and_inactive_ones_are_not_taken(service: DeployRig) -> None:
    register(service, f"{service.name}-worker")
    service.ecs.deregister_task_definition(taskDefinition=f"{service.name}:{register(service)}")
    service.steps().release(service.cutover())
    assert service.served[0] == 3


@pytest.mark.parametrize("prefix", ["", f"{PREFIX}/"])
def test_the_one_that_is_named_goes_before_the_newest(service: DeployRig, prefix: str) -> None:
    service.settings["api"]["task_definition"] = f"{prefix}{service.name}:1"
    service.steps().release(service.cutover())
    assert service.served[0] == 1
    assert not service.steps().release(service.cutover()).was_changed


def test_one_that_is_not_there_is_inactive_or_of_another_family_is_refused(service: DeployRig) -> None:
    service.ecs.deregister_task_definition(taskDefinition=f"{service.name}:1")
    register(service, f"{service.name}-worker")
    for name, says in (
        (f"{service.name}:99", "is not known to ECS"),
        (f"{service.name}:1", "is INACTIVE"),
        (f"{service.name}-worker:1", "is not of family"),
    ):
        service.settings["api"]["task_definition"] = name
        with pytest.raises(VersionUnfitError, match=says):
            service.steps().release(service.cutover())
    assert service.served[0] == 2


def test_killed_at_any_call_and_again_one_deployment_is_made(service: DeployRig) -> None:
    deployments = Uploads(service, "ecs", "UpdateService")
    service.steps().release(service.cutover())
    for survived in itertools.count():
        revision, run, was_killed = register(service), service.cutover(), False
        try:
            service.steps(Fate(survived)).release(run)
        except Died:
            was_killed = True
            service.steps().release(run)
        assert service.served[0] == revision, f"killed after {survived} calls"
        assert deployments.count == survived + 2, f"killed after {survived} calls"
        assert len(service.recorded) == survived + 2
        if not was_killed:
            assert survived > 6
            return


def test_a_process_killed_after_the_service_was_changed_is_followed_by_one_that_finds_it(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = with_service(make_deploy())
    again = killed_in(rig, dynamodb_proxy, lambda one: one.operation == "UpdateService", "release")
    revision, deployment = rig.served
    assert revision == 3
    assert again() == f"{PREFIX}/{rig.name}:3"
    assert rig.served == (3, deployment)
    assert dynamodb_proxy.count("UpdateService") == 1
    assert [one[1:] for one in rig.recorded] == [(f"{PREFIX}/{rig.name}:2", f"{PREFIX}/{rig.name}:3", "begun")]


def test_an_answer_that_is_lost_makes_no_second_deployment(make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy) -> None:
    rig = with_service(make_deploy(dynamodb_proxy.url))
    dynamodb_proxy.on("UpdateService", faults.reset_in_mid_answer())
    run = rig.cutover()
    served = rig.steps().release(run)
    assert rig.steps().settle(served, run).is_well
    assert rig.served == (3, served.now.token)
    assert dynamodb_proxy.count("UpdateService") == 2, "the call was sent again"
    assert rig.recorded == [("cutover", f"{PREFIX}/{rig.name}:2", f"{PREFIX}/{rig.name}:3", "stable")]


def test_a_deployment_of_somebody_else_between_record_and_change_wins(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = with_service(make_deploy(dynamodb_proxy.url))
    dynamodb_proxy.on("DescribeServices", faults.after(lambda: rig.deploy(1)), skip=2)
    with pytest.raises(ServiceMovedError):
        rig.steps().release(rig.cutover())
    assert rig.served[0] == 1


ECS_CALLS = ["DescribeServices", "ListTaskDefinitions", "DescribeTaskDefinition", "UpdateService"]


@pytest.mark.parametrize("operation", ECS_CALLS)
def test_a_right_on_ecs_that_is_missing_is_named(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy, operation: str
) -> None:
    rig = with_service(make_deploy(dynamodb_proxy.url))
    dynamodb_proxy.on(operation, faults.aws_error("AccessDeniedException", "no policy allows it", prefix=""))
    resource = {
        "ListTaskDefinitions": rig.name,
        "DescribeTaskDefinition": f"{PREFIX}/{rig.name}:3",
    }.get(operation, f"{rig.name}/api")
    with pytest.raises(AccessDeniedError, match=f"ecs refused ecs:{operation} on '{resource}'"):
        rig.steps().release(rig.cutover())
    assert rig.served[0] == 2


def test_the_alias_of_the_api_is_moved_to_the_newest_version_and_taken_back(alias: DeployRig) -> None:
    run = alias.cutover()
    served = alias.steps().release(run)
    assert alias.steps().settle(served, run).is_well
    assert alias.invoked == ("3", {})
    assert not alias.steps().release(alias.cutover()).was_changed
    assert alias.recorded == [("cutover", "1", "3", "stable")]


def test_the_version_that_is_named_goes_before_the_newest(alias: DeployRig) -> None:
    alias.settings["api"]["version"] = 2
    alias.steps().release(alias.cutover())
    assert alias.invoked == ("2", {})


def test_the_alias_of_the_api_killed_at_any_call_is_moved_once(alias: DeployRig) -> None:
    moves = Uploads(alias, "lambda", "UpdateAlias")
    for survived in itertools.count():
        version, run, was_killed = 3 - survived % 2, alias.cutover(), False
        alias.settings["api"]["version"] = version
        try:
            alias.steps(Fate(survived)).release(run)
        except Died:
            was_killed = True
            alias.steps().release(run)
        assert alias.invoked == (str(version), {}), f"killed after {survived} calls"
        assert moves.count == len(alias.recorded) == survived + 1, f"killed after {survived} calls"
        if not was_killed:
            assert survived > 5
            return


def test_a_process_killed_after_the_alias_of_the_api_was_moved_is_followed_by_one_that_finds_it(
    make_deploy: MakeDeploy, dynamodb_proxy: FaultProxy
) -> None:
    rig = with_alias(make_deploy())

    def is_moving(exchange: Exchange) -> bool:
        return exchange.method == "PUT" and exchange.path.endswith(f"/aliases/{ALIAS}")

    again = killed_in(rig, dynamodb_proxy, is_moving, "release")
    revision = rig.functions.get_alias(FunctionName=rig.name, Name=ALIAS)["RevisionId"]
    assert again() == "3"
    assert rig.functions.get_alias(FunctionName=rig.name, Name=ALIAS)["RevisionId"] == revision
    assert rig.recorded == [("cutover", "1", "3", "begun")]
