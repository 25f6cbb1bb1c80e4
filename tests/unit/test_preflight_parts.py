"""The small parts of the preflight: lines, comparisons, disks, index creation by accident, scopes, the table."""

import json
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_opensearch.core.preflight.auto_create import creates_by_accident, without
from dynamo_opensearch.core.preflight.disk_space import NodeDisk, data_disks, usable_bytes
from dynamo_opensearch.core.preflight.findings import CheckResult, Finding
from dynamo_opensearch.core.preflight.lines import aws_line, curl_line, trigger_line
from dynamo_opensearch.core.preflight.look import Look, compare, in_terraform
from dynamo_opensearch.core.preflight.report import NotReadyError, check_ready, table_of
from dynamo_opensearch.core.preflight.scopes import stranger_of

FINDING = Finding(what="stream", found="off", expected="on", remedy="aws dynamodb update-table --table-name members")
ALIAS = "members-live"


# Lines


def test_a_line_of_the_aws_cli_is_quoted_where_it_must_be() -> None:
    line = aws_line(
        "dynamodb",
        "update-table",
        table_name="it's",
        stream_specification={"StreamEnabled": True},
        alarm_names=["a", "b c"],
        enabled=True,
        bisect=False,
        maximum=5,
        region="eu-central-1",
        endpoint_url=None,
    )
    assert shlex.split(line) == [
        "aws",
        "dynamodb",
        "update-table",
        "--table-name",
        "it's",
        "--stream-specification",
        '{"StreamEnabled":true}',
        "--alarm-names",
        "a",
        "b c",
        "--enabled",
        "--no-bisect",
        "--maximum",
        "5",
        "--region",
        "eu-central-1",
    ]


def test_a_signed_request_takes_its_credentials_from_the_shell() -> None:
    line = curl_line("PUT", "https://d/_settings", {"it's": None}, ("eu-central-1", "es"))
    words = shlex.split(line)
    assert words[:4] == ["curl", "-X", "PUT", "https://d/_settings"]
    assert words[words.index("--aws-sigv4") + 1] == "aws:amz:eu-central-1:es"
    assert words[words.index("--user") + 1] == "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"
    assert '"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"' in line, "the shell fills it in"
    assert json.loads(words[-1]) == {"it's": None}
    assert "sigv4" not in curl_line("GET", "http://127.0.0.1:9200/")


def test_a_dag_is_triggered_with_its_parameters() -> None:
    assert shlex.split(trigger_line("members_reindex", {"mapping": "members.json"})) == [
        "airflow",
        "dags",
        "trigger",
        "members_reindex",
        "--conf",
        '{"mapping":"members.json"}',
    ]
    assert trigger_line("members_backfill") == "airflow dags trigger members_backfill"


# Two environments


def test_environments_are_compared_field_by_field() -> None:
    here = Look(seen="", fields={"a": 1, "b": [1], "c": None}, align=in_terraform("aws_sqs_queue dlq"))
    there = Look(seen="", fields={"a": 2, "b": [1], "d": "x"})
    found = list(compare(here, there, "staging"))
    assert [(one.what, one.found, one.expected) for one in found] == [
        ("a, beside staging", "1", "2, as in staging"),
        ("d, beside staging", "nothing", "x, as in staging"),
    ]
    assert found[0].remedy == "Terraform: aws_sqs_queue dlq: a = 2"


def test_what_is_missing_in_the_other_environment_is_said_once() -> None:
    here = Look(seen="", fields={"a": 1, "b": 2})
    (found,) = compare(here, Look(seen="", findings=(FINDING, FINDING)), "staging")
    assert found.what == "comparison with staging: stream"
    assert list(compare(Look(seen=""), here, "staging")) == [], "what is missing here has its own finding"


def test_of_many_differences_the_first_are_told_and_the_others_counted() -> None:
    here = Look(seen="", fields={f"field {number:02}": 1 for number in range(50)})
    found = list(compare(here, Look(seen="", fields={"other": 1}), "staging"))
    assert len(found) == 21
    assert found[-1].found == "31 more that differ"


fields = st.dictionaries(
    st.sampled_from("abcde"), st.one_of(st.integers(0, 2), st.lists(st.integers(0, 1))), min_size=1
)


@given(fields, fields)
def test_the_fields_that_differ_are_those_that_are_told(here: dict[str, Any], there: dict[str, Any]) -> None:
    found = [
        one.what.split(",")[0] for one in compare(Look(seen="", fields=here), Look(seen="", fields=there), "other")
    ]
    assert found == sorted(name for name in {*here, *there} if here.get(name) != there.get(name))


# Disks

GB = 2**30


@pytest.mark.parametrize(
    ("mark", "usable_gb"),
    [
        ("85%", 15),
        (" 85% ", 15),
        ("0.85", 15),
        ("20gb", 10),
        ("20GB", 10),
        ("20480mb", 10),
        ("21474836480b", 10),
        (None, 30),
        ("99%", 29),
        ("60%", 0),
    ],
)
def test_what_is_usable_ends_at_the_low_watermark(mark: str | None, usable_gb: int) -> None:
    disk = NodeDisk(total_bytes=100 * GB, available_bytes=30 * GB)
    assert usable_bytes([disk], mark) == usable_gb * GB
    assert usable_bytes([disk, disk], mark) == 2 * usable_gb * GB


def test_only_nodes_that_hold_data_in_use_count() -> None:
    total = {"total_in_bytes": 2, "available_in_bytes": 1}
    nodes = {
        "hot": {"roles": ["data", "ingest"], "fs": {"total": total}},
        "old": {"fs": {"total": total}},
        "manager": {"roles": ["cluster_manager"], "fs": {"total": total}},
        "warm": {"roles": ["data", "warm"], "fs": {"total": total}},
        "search": {"roles": ["search"], "fs": {"total": total}},
        "both": {"roles": ["data", "search"], "fs": {"total": total}},
    }
    assert len(data_disks({"nodes": nodes})) == 3


# An index by accident


@pytest.mark.parametrize(
    ("setting", "creates"),
    [
        ("true", True),
        ("false", False),
        ("", True),
        ("-members-live,+*", False),
        ("+*,-members-live", True),
        ("logs-*", False),
        ("+members-*", True),
        ("members-*", True),
        ("-members-v*,+members-*", True),
        ("-*live", False),
        (" -members-live , +*", False),
        ("-members?live,+*", True),
        ("-member[s]-live,+*", True),
        ("TRUE", False),
        ("members", False),
        ("+live", False),
        (" +members-* , -*", True),
        ("-logs-*, +members-live", True),
    ],
)
def test_the_first_pattern_that_matches_decides(setting: str, creates: bool) -> None:
    assert creates_by_accident(setting, ALIAS) is creates


def test_false_is_no_pattern_for_an_alias_of_that_name() -> None:
    assert not creates_by_accident("false", "false")
    assert not creates_by_accident("-true,+*", "true")
    assert without("", ALIAS) == without("true", ALIAS) == "-members-live,+*"


settings = st.lists(
    st.builds(str.__add__, st.sampled_from(["", "+", "-"]), st.sampled_from(["*", ALIAS, "members-*", "logs", "*-v1"])),
    min_size=1,
).map(",".join)


@given(st.one_of(st.sampled_from(["true", "false"]), settings))
def test_the_setting_without_the_alias_creates_all_else_as_before(setting: str) -> None:
    changed = without(setting, ALIAS)
    assert not creates_by_accident(changed, ALIAS)
    for name in ("members-v1", "logs", "other"):
        # What was false stays false for every name; a line for one alias must not open the others.
        assert creates_by_accident(changed, name) is creates_by_accident(setting, name)


# Scopes


@pytest.mark.parametrize(
    ("arn", "stranger"),
    [
        ("arn:aws:kms:r:1:key/a-b", "arn:aws:kms:r:1:key/xq-of-nobody-xq"),
        ("arn:aws:sns:r:1:topic", "arn:aws:sns:r:1:xq-of-nobody-xq"),
        ("arn:aws:lambda:r:1:function:f", "arn:aws:lambda:r:1:function:xq-of-nobody-xq"),
        ("arn:aws:es:r:1:domain/d/*", "arn:aws:es:r:1:domain/xq-of-nobody-xq/x"),
        ("arn:aws:s3:::bucket", "arn:aws:s3:::xq-of-nobody-xq"),
        ("arn:aws:s3:::bucket/key/*", "arn:aws:s3:::xq-of-nobody-xq/x"),
    ],
)
def test_a_stranger_is_of_the_same_kind_and_somebody_elses(arn: str, stranger: str) -> None:
    assert stranger_of(arn) == stranger


# The table


def result(check: str, state: Any, *findings: Finding) -> CheckResult:
    return CheckResult(check=check, state=state, seen=f"what {check} saw", findings=findings)


def test_the_table_has_a_row_for_each_finding_and_each_check_without() -> None:
    table = table_of([result("table", "passed"), result("stream", "failed", FINDING, FINDING)])
    head, line, *rows = table.splitlines()
    assert [cell.strip() for cell in head.split("|")] == ["check", "state", "found", "expected", "how to mend it"]
    assert set(line) == {"-", "+"}
    passed, *failed = [[cell.strip() for cell in row.split("|")] for row in rows]
    assert passed[:3] == ["table", "passed", "what table saw"]
    assert not any(passed[3:])
    assert failed == 2 * [["stream", "failed", "stream: off", "on", FINDING.remedy]]
    assert rows[1].endswith(FINDING.remedy), "a remedy is never cut"


def test_a_check_that_failed_or_could_not_tell_fails_the_whole_and_the_others_do_not() -> None:
    check_ready("members", "production", [result("table", "passed"), result("cognito", "not asked for")])
    with pytest.raises(NotReadyError) as raised:
        check_ready(
            "members",
            "production",
            [result("table", "failed", FINDING), result("stream", "blocked"), result("roles", "passed")],
        )
    assert raised.value.failed == ("table (failed)", "stream (blocked)")
    assert "docs/runbook.md" in str(raised.value)


def test_a_result_survives_xcom_and_names_its_section_of_the_runbook() -> None:
    failed = result("stream", "failed", FINDING)
    assert CheckResult.from_json(json.loads(json.dumps(failed.to_json()))) == failed
    assert "docs/runbook.md#stream" in str(failed)
    assert FINDING.remedy in str(failed)
