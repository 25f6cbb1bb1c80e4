"""The API's newest version, or the one that is named, is put in service once, and can be taken back."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.cutover.api.release import ReleaseRefusedError, release_api
from dynamo_opensearch.core.cutover.serving import Served, VersionNotAwakeError, VersionUnfitError
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.core.services.ecs import EcsComponent
from dynamo_opensearch.core.services.lambda_alias import LAMBDA_API, LambdaAliasComponent
from dynamo_opensearch.core.services.planning import plan_service_rollback
from dynamo_opensearch.core.services.recorded import RecordedChanges
from dynamo_opensearch.core.targets.environment import ApiSettings, Environment
from dynamo_opensearch.operators.cutover import api as operators
from dynamo_opensearch.operators.cutover.api import DeployApiOperator
from tests.support.adapters import FakeConnections, FakeInstance, connect
from tests.support.dying import Died, Fate
from tests.support.fakes import NOW_US, MemoryStore
from tests.support.scripted_aws import Answer, RefusalError, ScriptedAws
from tests.support.scripted_ecs import CLUSTER, SERVICE, ScriptedEcs, arn
from tests.support.scripted_lambda import ALIAS, FUNCTION, ScriptedFunction, archive


class Desk:
    """Records, and runs of a cutover."""

    def __init__(self) -> None:
        self.aws = ScriptedAws()
        self.store = MemoryStore()
        self.changes = RecordedChanges(self.store, self.aws.clock)
        self.api: dict[str, Any] = {}

    def run(self, run_id: str = "c1") -> Run:
        self.aws.clock.pass_s(60)
        return Run(deployment="prod", dag_id="members_cutover", run_id=run_id, triggered_us=self.aws.clock.time_us())

    def release(self, run: Run | None = None, fate: Fate | None = None, **api: Any) -> Served:
        self.aws.clock.pass_s(1)
        fate = fate or Fate()
        settings = ApiSettings.model_validate({**self.api, **api})
        changes = RecordedChanges(fate.watch(self.store, "load", "save"), self.aws.clock)
        return release_api(fate.watch(self.aws.plane, "ask"), settings, changes, run or self.run())

    def recorded(self, component: str) -> list[tuple[str, str, str]]:
        found: list[dict[str, Any]] = (self.store.load() or {}).get(component, [])
        return [
            (one["was"]["version"].rpartition("/")[2], one["shall"]["version"].rpartition("/")[2], one["outcome"])
            for one in found
        ]

    @property
    def writes(self) -> list[str]:
        return [name for name, _ in self.aws.calls if name.partition(".")[2].startswith(("Update", "Create"))]


class EcsDesk(Desk):
    """A service on api:2 of api:1 to api:3, of which the last was registered by a pipeline."""

    def __init__(self, page: int = 100) -> None:
        super().__init__()
        self.api = {"kind": "ecs", "cluster": CLUSTER, "service": SERVICE}
        self.ecs = ScriptedEcs(self.aws)
        self.ecs.deploy("api:1")
        self.ecs.deploy("api:2")
        self.ecs.definitions |= {"api:3": "ACTIVE", "api-of-staging:9": "ACTIVE"}
        self.page = page
        self.aws.scripts["ecs.ListTaskDefinitions"] = self._list
        self.aws.scripts["ecs.DescribeTaskDefinition"] = self._describe

    def _list(self, asked: Answer) -> Answer:
        assert (asked["status"], asked["sort"]) == ("ACTIVE", "DESC")
        names = [
            name
            for name, status in self.ecs.definitions.items()
            if status == "ACTIVE" and name.startswith(asked["familyPrefix"])
        ]
        names.sort(key=lambda one: (one.partition(":")[0], int(one.partition(":")[2])), reverse=True)
        start = int(asked.get("nextToken", 0))
        more = {"nextToken": str(start + self.page)} if start + self.page < len(names) else {}
        return {"taskDefinitionArns": [arn(one) for one in names[start : start + self.page]], **more}

    def _describe(self, asked: Answer) -> Answer:
        name = asked["taskDefinition"].rpartition("/")[2]
        if name not in self.ecs.definitions:
            raise RefusalError("ClientException")
        images = [{"name": "web", "image": f"registry/{name}"}]
        found = {"taskDefinitionArn": arn(name), "status": self.ecs.definitions[name], "containerDefinitions": images}
        return {"taskDefinition": found}


class LambdaDesk(Desk):
    """An alias on version 1 of three."""

    def __init__(self) -> None:
        super().__init__()
        self.api = {"kind": "lambda", "function": FUNCTION, "alias": ALIAS}
        self.function = ScriptedFunction(self.aws)
        for number in range(3):
            self.function.bring(archive(str(number)))
            self.function.publish()
        self.function.lead("1")

    @property
    def leads_to(self) -> str:
        return str(self.function.aliases[ALIAS]["FunctionVersion"])


@pytest.fixture
def ecs() -> EcsDesk:
    return EcsDesk()


@pytest.fixture
def alias() -> LambdaDesk:
    return LambdaDesk()


# ECS


def test_the_newest_active_task_definition_of_the_family_is_put_in_service(ecs: EcsDesk) -> None:
    served = ecs.release()
    assert ecs.ecs.primary == "api:3"
    assert str(served) == "ECS service main/api: api:3 in place of api:2"
    assert served.now.token == ecs.ecs.listed[0]["id"]
    assert ecs.recorded("ecs") == [("api:2", "api:3", "begun")]


def test_all_pages_are_read_for_it(ecs: EcsDesk) -> None:
    ecs.page = 1
    ecs.ecs.definitions |= {f"api-{number}:1": "ACTIVE" for number in range(3)}
    ecs.release()
    assert ecs.ecs.primary == "api:3"


def test_what_is_in_service_already_is_left_alone_also_while_it_is_rolling_out(ecs: EcsDesk) -> None:
    ecs.ecs.next_update = "hangs"
    first = ecs.release()
    again = ecs.release(ecs.run("c2"))
    assert not again.was_changed
    assert again.now.token == first.now.token
    assert ecs.writes == ["ecs.UpdateService"]


@pytest.mark.parametrize("name", ["api:1", arn("api:1")])
def test_the_one_that_the_target_file_names_goes_before_the_newest(ecs: EcsDesk, name: str) -> None:
    ecs.release(task_definition=name)
    assert ecs.ecs.primary == "api:1"
    assert not ecs.release(ecs.run("c2"), task_definition=name).was_changed


def test_one_that_is_registered_while_the_task_was_dead_is_taken(ecs: EcsDesk) -> None:
    run = ecs.run()
    ecs.release(run)
    ecs.ecs.definitions["api:4"] = "ACTIVE"
    assert ecs.release(run).was_changed
    assert ecs.ecs.primary == "api:4"
    assert [one[:2] for one in ecs.recorded("ecs")] == [("api:2", "api:3"), ("api:3", "api:4")]


def test_a_rollback_takes_the_service_back_to_what_the_cutover_replaced(ecs: EcsDesk) -> None:
    run = ecs.run()
    ecs.release(run)
    ecs.changes.end("ecs", run, "stable")
    component = EcsComponent(ecs.aws.plane, CLUSTER, SERVICE)
    plan = plan_service_rollback("members", component, ecs.changes, ecs.run("b1"))
    assert (plan.shall.version, plan.is_undo) == (arn("api:2"), True)


def test_killed_at_any_call_and_tried_again_one_deployment_is_made() -> None:
    for survived in itertools.count():
        desk, was_killed = EcsDesk(), False
        run = desk.run()
        try:
            desk.release(run, fate=Fate(survived))
        except Died:
            was_killed = True
            desk.release(run)
        assert desk.ecs.primary == "api:3", f"killed after {survived} calls"
        assert desk.writes == ["ecs.UpdateService"], f"killed after {survived} calls"
        assert desk.recorded("ecs") == [("api:2", "api:3", "begun")]
        if not was_killed:
            assert survived > 6
            return


def test_what_ecs_has_rolled_back_before_is_tried_once_more_and_said(ecs: EcsDesk) -> None:
    ecs.ecs.next_update = "rolled back"
    run = ecs.run()
    ecs.release(run)
    ecs.changes.end("ecs", run, "rolled back")
    assert ecs.ecs.primary == "api:2"
    ecs.ecs.next_update = "succeeds"
    text = str(ecs.release(ecs.run("c2")))
    assert "warning: api:3 was rolled back by ECS" in text
    assert "it is tried once more" in text
    assert ecs.ecs.primary == "api:3"


@pytest.mark.parametrize(
    ("controller", "says"),
    [
        ({"type": "CODE_DEPLOY"}, "its deployments are made by CODE_DEPLOY, not by ECS"),
        (None, "the service is DRAINING"),
    ],
)
def test_a_service_that_cannot_be_deployed_to_is_refused(ecs: EcsDesk, controller: Any, says: str) -> None:
    if controller is not None:
        ecs.ecs.controller = controller
    else:
        ecs.ecs.status = "DRAINING"
    with pytest.raises(ReleaseRefusedError) as error:
        ecs.release()
    assert "ECS service main/api was not changed. Problems: 1" in str(error.value)
    assert says in str(error.value)
    assert "aws ecs update-service --cluster main" in str(error.value)
    assert ecs.writes == []


def test_a_service_of_another_controller_is_refused_even_where_it_serves_the_newest(ecs: EcsDesk) -> None:
    ecs.ecs.controller = {"type": "EXTERNAL"}
    service = ecs.aws.scripts["ecs.DescribeServices"]

    def without_deployments(asked: Answer) -> Answer:
        (found,) = service(asked)["services"]
        return {"services": [{**found, "deployments": [], "taskDefinition": arn("api:3")}]}

    ecs.aws.scripts["ecs.DescribeServices"] = without_deployments
    with pytest.raises(ReleaseRefusedError, match="its deployments are made by EXTERNAL"):
        ecs.release()


def test_going_back_by_accident_is_refused(ecs: EcsDesk) -> None:
    ecs.release()
    ecs.ecs.definitions["api:3"] = "INACTIVE"
    with pytest.raises(VersionUnfitError, match="api:2 is the newest ACTIVE one, and older than api:3"):
        ecs.release()
    assert ecs.release(task_definition="api:2").was_changed, "who names it means it"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("api:99", "api:99 is not known to ECS in this account and region"),
        ("api-of-staging:9", "is not of family 'api', which is in service: a rollback could not come back from it"),
        ("api:1", "api:1 is INACTIVE: nothing can be started from it"),
    ],
)
def test_one_that_cannot_be_taken_is_refused_with_the_reason(ecs: EcsDesk, name: str, says: str) -> None:
    ecs.ecs.definitions["api:1"] = "INACTIVE"
    with pytest.raises(VersionUnfitError) as error:
        ecs.release(task_definition=name)
    assert says in str(error.value)
    assert "ECS service main/api was not changed" in str(error.value)
    assert ecs.writes == []


def test_a_family_without_an_active_one_is_refused(ecs: EcsDesk) -> None:
    for name in ecs.ecs.definitions:
        ecs.ecs.definitions[name] = "INACTIVE"
    with pytest.raises(VersionUnfitError, match="family 'api' has no ACTIVE task definition"):
        ecs.release()


def test_what_one_should_know_of_the_service_is_said(ecs: EcsDesk) -> None:
    ecs.ecs.configuration = {}
    assert "warning: its deployment circuit breaker is off" in str(ecs.release())


ECS_CALLS = [
    ("DescribeServices", "main/api", None),
    ("ListTaskDefinitions", "api", None),
    ("DescribeTaskDefinition", "api:3", "api:3"),
    ("ListServiceDeployments", "main/api", None),
    ("UpdateService", "main/api", None),
]


@pytest.mark.parametrize(("operation", "resource", "named"), ECS_CALLS)
def test_a_right_on_ecs_that_is_missing_is_named_with_what_it_is_missing_on(
    ecs: EcsDesk, operation: str, resource: str, named: str | None
) -> None:
    def refuse(_asked: Answer) -> Answer:
        raise RefusalError("AccessDeniedException")

    ecs.aws.scripts[f"ecs.{operation}"] = refuse
    with pytest.raises(AccessDeniedError, match=f"ecs refused ecs:{operation} on '{resource}'"):
        ecs.release(task_definition=named)


# Lambda


def test_the_alias_is_moved_to_the_newest_version(alias: LambdaDesk) -> None:
    assert str(alias.release()) == "Lambda alias indexer:live: version 3 in place of version 1"
    assert alias.leads_to == "3"
    assert not alias.release(alias.run("c2")).was_changed
    assert alias.recorded(LAMBDA_API) == [("1", "3", "begun")]


def test_the_version_that_the_target_file_names_goes_before_the_newest(alias: LambdaDesk) -> None:
    alias.release(version=2)
    assert alias.leads_to == "2"


def test_a_rollback_takes_the_alias_back(alias: LambdaDesk) -> None:
    alias.release()
    component = LambdaAliasComponent(alias.aws.plane, LAMBDA_API, FUNCTION, ALIAS)
    plan = plan_service_rollback("members", component, alias.changes, alias.run("b1"))
    assert (plan.shall.version, plan.is_undo) == ("1", True)


def test_an_alias_of_the_api_is_not_made(alias: LambdaDesk) -> None:
    alias.function.aliases.clear()
    with pytest.raises(ResourceMissingError, match="lambda has no 'indexer:live'"):
        alias.release()
    assert alias.writes == []


def test_a_function_without_versions_is_refused(alias: LambdaDesk) -> None:
    alias.function.versions.clear()
    with pytest.raises(VersionUnfitError, match="function 'indexer' has no published version"):
        alias.release()


def test_a_version_that_is_not_there_or_sleeps_is_not_led_to(alias: LambdaDesk) -> None:
    with pytest.raises(VersionUnfitError, match="version 9 was deleted"):
        alias.release(version=9)
    alias.function.versions["3"]["State"] = "Inactive"
    with pytest.raises(VersionNotAwakeError):
        alias.release()
    assert alias.leads_to == "1"


def test_an_alias_on_latest_is_moved_and_the_doubt_is_said(alias: LambdaDesk) -> None:
    alias.function.lead("$LATEST")
    assert "a rollback cannot go back to it" in str(alias.release())


# The task


class Runs(FakeInstance):
    """A task instance whose run was triggered at a moment."""

    @property
    def context(self) -> Any:
        return {**super().context, "dag_run": self}

    run_after = start_date = datetime.fromtimestamp(NOW_US / 1e6, UTC)


def connected(monkeypatch: pytest.MonkeyPatch, aws: ScriptedAws, **environment: Any) -> FakeConnections:
    connections = connect(monkeypatch, {"environments": {"local": Environment.model_validate(environment)}})
    monkeypatch.setattr(operators, "control_plane", lambda _: aws.plane)
    return connections


def deploy(instance: Runs) -> dict[str, Any]:
    return DeployApiOperator(task_id="deploy_api", target="members").execute(instance.context)


@pytest.mark.parametrize("desk", [EcsDesk, LambdaDesk])
def test_the_task_returns_what_is_in_service_and_pushes_which_component(
    monkeypatch: pytest.MonkeyPatch, desk: type[EcsDesk | LambdaDesk]
) -> None:
    made, instance = desk(), Runs(dag_id="members_cutover")
    connections = connected(monkeypatch, made.aws, api=made.api)
    served = deploy(instance)
    component = "ecs" if desk is EcsDesk else LAMBDA_API
    assert instance.pushed == {"component": component}
    assert served["version"] == (arn("api:3") if desk is EcsDesk else "3")
    assert connections.state("services").load()[component][0]["shall"]["token"] == served["token"]


def test_without_an_api_the_task_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    connected(monkeypatch, ScriptedAws())
    with pytest.raises(AirflowSkipException, match=r"environments\.local\.api is not in the target file"):
        deploy(Runs(dag_id="members_cutover"))


def test_what_a_person_has_to_mend_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = LambdaDesk()
    connected(monkeypatch, desk.aws, api=desk.api | {"version": 9})
    with pytest.raises(AirflowFailException, match="version 9 was deleted"):
        deploy(Runs(dag_id="members_cutover"))
