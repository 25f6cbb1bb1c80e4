"""Target files: every mistake told at once, at the cost of that file alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo_opensearch.core.targets.airflow_settings import AirflowSettings, Reconciliation
from dynamo_opensearch.core.targets.loading import LoadedTargets, TargetFilesError, load_targets
from dynamo_opensearch.core.targets.model import Target, UnknownEnvironmentError
from tools import target_schema

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "name": "good",
    "table": "good",
    "key": ["id"],
    "alias": "good-live",
    "mapping": "members.json",
    "indexer_writes": "versioned",
    "environments": {"local": {}},
}
TEN_MISTAKES: dict[str, Any] = {
    "name": "Bad Name",
    "table": "x",
    "key": ["a", "b", "c"],
    "alias": "bad-next",
    "mapping": "members.json",
    "indexer_writes": "sometimes",
    "documents": {"include_fields": [], "renames": {"a": ""}, "filter": {"all": [{"attribute": "a"}]}},
    "budgets": {"segments": 0, "max_rejects": -1, "speed": 9},
    "environments": {"local": {"stream_rounding_s": 60, "margin_s": 6}},
    "color": "red",
}


@pytest.fixture
def include(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "include" / "mappings", tmp_path / "mappings")
    (tmp_path / "targets").mkdir()
    return tmp_path


def write(include: Path, file: str, content: object) -> None:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (include / "targets" / file).write_text(text)


def fields(loaded: LoadedTargets, file: str) -> set[str]:
    return {problem.field for problem in loaded.problems if problem.file == file}


def test_the_projects_own_targets_have_no_mistakes() -> None:
    loaded = load_targets(ROOT / "include")
    assert loaded.problems == ()
    assert set(loaded.targets) == {"members", "orders"}


def test_ten_mistakes_are_listed_at_once_and_the_other_files_are_not_affected(include: Path) -> None:
    write(include, "bad.yaml", TEN_MISTAKES)
    write(include, "good.yaml", GOOD)
    loaded = load_targets(include)
    assert set(loaded.targets) == {"good"}
    assert fields(loaded, "bad.yaml") >= {
        "name",
        "table",
        "key",
        "alias",
        "indexer_writes",
        "documents.include_fields",
        "documents.renames.a",
        "documents.filter.all.0",
        "budgets.segments",
        "budgets.max_rejects",
        "budgets.speed",
        "environments.local",
        "color",
    }
    text = str(TargetFilesError(loaded.problems))
    assert f"{len(loaded.problems)} mistakes in 1 target files" in text
    assert (
        "bad.yaml: environments.local: Value error, margin_s must be at least stream_rounding_s + 5 (= 65), got 6"
        in text
    )


@pytest.mark.parametrize(
    ("content", "field", "rule"),
    [
        ("name: [unclosed", "(file)", "cannot be read as YAML"),
        ("- a list", "(file)", "must be a YAML mapping"),
        ("", "(file)", "must be a YAML mapping"),
        ({**GOOD, "mapping": "absent.json"}, "mapping", "is not there"),
        ({**GOOD, "mapping": "broken.json"}, "mapping", "is not JSON: line 1, column"),
        ({**GOOD, "documents": {"routing": "tenant"}}, "(file)", "routing must be one of the key attributes ['id']"),
        ({**GOOD, "key": ["id", "id"]}, "(file)", "key names one attribute twice"),
        ({**GOOD, "environments": {}}, "environments", "at least 1 item"),
        ({name: value for name, value in GOOD.items() if name != "indexer_writes"}, "indexer_writes", "Field required"),
    ],
)
def test_a_mistake_names_its_file_its_field_and_the_rule(include: Path, content: object, field: str, rule: str) -> None:
    (include / "mappings" / "broken.json").write_text("{not json")
    write(include, "bad.yaml", content)
    write(include, "good.yaml", GOOD)
    loaded = load_targets(include)
    (problem,) = loaded.problems
    assert (problem.file, problem.field) == ("bad.yaml", field)
    assert rule in problem.rule
    assert set(loaded.targets) == {"good"}


BERLIN = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("airflow", "field", "rule"),
    [
        ({"nightly": {"cron": "30 2 * *"}}, "airflow.nightly.cron", "String should match pattern"),
        ({"nightly": {"cron": "61 2 * * *"}}, "airflow.nightly.cron", "no time at which it is due: '61 2 * * *'"),
        ({"weekly": {"cron": "0 0 31 2 *"}}, "airflow.weekly.cron", "no time at which it is due: '0 0 31 2 *'"),
        ({"nightly": BERLIN | {"timezone": "Berlin"}}, "airflow.nightly.timezone", "no such time zone: 'Berlin'"),
        (
            {"nightly": BERLIN | {"depth": "deep"}},
            "airflow.nightly.depth",
            "'approximate', 'count', 'keys' or 'content'",
        ),
        ({"nightly": BERLIN | {"repair": "all"}}, "airflow.nightly.repair", "'none', 'plan' or 'apply'"),
        ({"nightly": BERLIN | {"repairs": "none"}}, "airflow.nightly.repairs", "Extra inputs are not permitted"),
        (
            {"nightly": BERLIN | {"repair": "apply"}},
            "airflow.nightly",
            "repair apply needs depth keys or content, got count",
        ),
        (
            {"weekly": {"cron": "0 3 * * 0", "depth": "approximate", "repair": "plan"}},
            "airflow.weekly",
            "repair plan needs depth keys or content, got approximate",
        ),
        (
            {"nightly": BERLIN, "weekly": {"cron": "0 3 * * 0", "timezone": "UTC"}},
            "airflow",
            "weekly.timezone must be that of nightly (Europe/Berlin), got UTC",
        ),
        ({"weekly": "0 3 * * 0"}, "airflow.weekly", "valid dictionary or instance of Reconciliation"),
    ],
)
def test_a_mistake_in_a_schedule_names_its_field_and_the_rule(
    include: Path, airflow: object, field: str, rule: str
) -> None:
    write(include, "bad.yaml", GOOD | {"airflow": airflow})
    (problem,) = load_targets(include).problems
    assert problem.field == field
    assert rule in problem.rule


ECS: dict[str, Any] = {"kind": "ecs", "cluster": "main", "service": "api"}
LAMBDA: dict[str, Any] = {"kind": "lambda", "function": "api", "alias": "live"}
TASK_DEFINITION = "arn:aws:ecs:eu-central-1:123456789012:task-definition/api:7"


@pytest.mark.parametrize(
    ("environment", "field", "rule"),
    [
        ({"indexer": {"function": "f", "package": ""}}, "indexer.package", "at least 1 character"),
        ({"indexer": {"function": "f", "package": "s3://bucket"}}, "indexer.package", "must be s3://bucket/key"),
        ({"indexer": {"function": "f", "package": "s3:///key"}}, "indexer.package", "must be s3://bucket/key"),
        (
            {"indexer": {"function": "f", "package": "s3://bucket/folder/"}},
            "indexer.package",
            "must be s3://bucket/key",
        ),
        ({"indexer": {"function": "f", "package": "https://x/y.zip"}}, "indexer.package", "or a path"),
        ({"api": ECS | {"task_definition": "api"}}, "api.task_definition", "String should match pattern"),
        ({"api": ECS | {"task_definition": "api:0"}}, "api.task_definition", "String should match pattern"),
        ({"api": ECS | {"task_definition": "service/api:7"}}, "api.task_definition", "String should match pattern"),
        ({"api": ECS | {"version": 7}}, "api", "version is not for kind ecs"),
        ({"api": LAMBDA | {"task_definition": "api:7"}}, "api", "task_definition is not for kind lambda"),
        ({"api": LAMBDA | {"version": 0}}, "api.version", "greater than or equal to 1"),
        ({"api": LAMBDA | {"version": "$LATEST"}}, "api.version", "valid integer"),
    ],
)
def test_a_mistake_in_what_is_deployed_names_its_field_and_the_rule(
    include: Path, environment: object, field: str, rule: str
) -> None:
    write(include, "bad.yaml", GOOD | {"environments": {"local": environment}})
    (problem,) = load_targets(include).problems
    assert problem.field == f"environments.local.{field}"
    assert rule in problem.rule


@pytest.mark.parametrize(
    "environment",
    [
        {"indexer": {"function": "f", "package": "s3://my-bucket/indexer.zip"}},
        {"indexer": {"function": "f", "package": "s3://aws_default@my-bucket/builds/7/indexer.zip"}},
        {"indexer": {"function": "f", "package": "../build/indexer/indexer-python3.13-arm64.zip"}},
        {"indexer": {"function": "f", "package": "/opt/indexer.zip"}},
        {"api": ECS | {"task_definition": "api:7"}},
        {"api": ECS | {"task_definition": TASK_DEFINITION}},
        {"api": LAMBDA | {"version": 7}},
    ],
)
def test_what_is_deployed_may_be_named_in_each_of_these_ways(environment: object) -> None:
    Target.model_validate(GOOD | {"environments": {"local": environment}})


def airflow_settings(**airflow: object) -> AirflowSettings:
    return Target.model_validate(GOOD | {"airflow": airflow}).airflow


@pytest.mark.parametrize(
    ("environment", "field"),
    [
        ({"reports": "s3://ada:secret-4711@bucket/x"}, "reports"),
        ({"dead_letters": {"queue": "q", "parking": "s3://ada:secret-4711@bucket/x"}}, "dead_letters.parking"),
        ({"dead_letters": {"queue": "https://ada:secret-4711@sqs.example.com/1/q"}}, "dead_letters.queue"),
        (
            {"api": {"kind": "ecs", "cluster": "c", "service": "s", "health_url": "https://ada:secret-4711@api/"}},
            "api.health_url",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_login_in_an_address_is_a_mistake_that_is_told_without_it(
    include: Path, environment: dict[str, Any], field: str
) -> None:
    write(include, "bad.yaml", {**GOOD, "environments": {"local": environment}})
    loaded = load_targets(include)
    assert fields(loaded, "bad.yaml") == {f"environments.local.{field}"}
    assert "login" in loaded.problems[0].rule
    assert "4711" not in str(TargetFilesError(loaded.problems))


def test_each_night_is_counted_and_nothing_more_where_nothing_is_said() -> None:
    settings = airflow_settings()
    assert settings.nightly == Reconciliation(cron="30 2 * * *", timezone="UTC", depth="count", repair="none")
    assert settings.weekly is None


def test_a_weekly_run_compares_content_in_the_time_zone_of_the_nightly_one_unless_it_says_so() -> None:
    settings = airflow_settings(nightly=BERLIN, weekly={"cron": "0 3 * * 0", "repair": "apply"})
    assert settings.weekly == Reconciliation(
        cron="0 3 * * 0", timezone="Europe/Berlin", depth="content", repair="apply"
    )
    said = airflow_settings(nightly=BERLIN, weekly={**BERLIN, "depth": "keys"}).weekly
    assert said == Reconciliation(**BERLIN, depth="keys")
    assert airflow_settings(weekly={"cron": "0 3 * * 0"}).weekly == Reconciliation(cron="0 3 * * 0", depth="content")


def test_a_weekly_run_does_not_hide_the_mistakes_of_the_nightly_one(include: Path) -> None:
    write(include, "bad.yaml", GOOD | {"airflow": {"nightly": {"cron": "never"}, "weekly": {"cron": "0 3 * * 0"}}})
    (problem,) = load_targets(include).problems
    assert problem.field == "airflow.nightly.cron"


def test_a_second_file_may_take_neither_name_nor_alias(include: Path) -> None:
    write(include, "1.yaml", GOOD)
    write(include, "2.yaml", GOOD | {"alias": "other-live"})
    write(include, "3.yaml", GOOD | {"name": "other"})
    loaded = load_targets(include)
    assert [(one.file, one.field) for one in loaded.problems] == [("2.yaml", "name"), ("3.yaml", "alias")]
    assert set(loaded.targets) == {"good"}


def test_fifty_targets_load_together(include: Path) -> None:
    for number in range(50):
        write(include, f"{number}.yaml", GOOD | {"name": f"t{number}", "alias": f"t{number}-live"})
    loaded = load_targets(include)
    assert (len(loaded.targets), loaded.problems) == (50, ())


def test_an_environment_has_its_own_table_and_alias() -> None:
    target = Target.model_validate(
        GOOD | {"environments": {"local": {}, "prod": {"table": "big", "alias": "big-live"}}}
    )
    assert (target.in_environment("prod").table, target.in_environment("prod").index_base) == ("big", "big")
    assert (target.in_environment("local").table, target.index_base) == ("good", "good")


def test_an_unknown_environment_names_those_that_there_are() -> None:
    with pytest.raises(UnknownEnvironmentError, match="no environment 'prod', only local"):
        Target.model_validate(GOOD).in_environment("prod")


def test_the_published_schema_is_not_stale() -> None:
    published = (ROOT / "docs" / "target.schema.json").read_text()
    assert published == target_schema.schema_text(), "run: python -m tools.target_schema"


def test_the_schema_tells_every_field_what_it_is_for() -> None:
    schema = json.loads(target_schema.schema_text())
    objects = [schema, *schema["$defs"].values()]
    rules = [pair for one in objects for pair in one.get("properties", {}).items()]
    assert [name for name, rule in rules if "description" not in rule and "$ref" not in rule] == []
