"""docs/terraform, parsed: Terraform itself cannot be had here, so nothing of it was ever planned or applied."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import yaml

from dynamo_opensearch.core.targets.environment import Environment

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/terraform"
FILES = sorted(FOLDER.glob("*.tf"))
CONTRACT = (ROOT / "docs/indexer-contract.md").read_text()

Block = dict[str, Any]


def plain(value: Any) -> Any:
    """Without the parser's own marks: quotes of literals, comments, and what tells blocks from maps."""
    if isinstance(value, dict):
        return {plain(name): plain(one) for name, one in value.items() if not name.startswith("__")}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, str) and value.startswith('"'):
        return value.removeprefix('"').removesuffix('"')
    return value


def parsed() -> Iterator[tuple[str, str, str, Block]]:
    """Kind (``resource``, ``data``, ...), type, name and body of every block; a block of one label has no type."""
    for file in FILES:
        for kind, blocks in plain(hcl2.loads(file.read_text())).items():
            for block in blocks:
                if kind in ("resource", "data"):
                    ((of_type, named),) = block.items()
                    ((name, body),) = named.items()
                    yield kind, of_type, name, body
                elif kind in ("variable", "output"):
                    ((name, body),) = block.items()
                    yield kind, "", name, body
                else:
                    yield kind, "", "", block


BLOCKS = list(parsed())
TEXT = "\n".join(re.sub(r"#.*", "", file.read_text()) for file in FILES)


def resource(of_type: str, name: str) -> Block:
    (found,) = (body for kind, one, named, body in BLOCKS if (kind, one, named) == ("resource", of_type, name))
    return found


def declared() -> set[str]:
    """How each thing that is declared is referred to."""
    prefixes = {"resource": "{0}.{1}", "data": "data.{0}.{1}", "variable": "var.{1}"}
    names = {prefixes[kind].format(of_type, name) for kind, of_type, name, _ in BLOCKS if kind in prefixes}
    return names | {f"local.{name}" for kind, _, _, body in BLOCKS if kind == "locals" for name in body}


def referred_to() -> set[str]:
    return set(re.findall(r"(?<![\w.])(?:data\.aws_\w+\.\w+|aws_\w+\.\w+|var\.\w+|local\.\w+)", TEXT))


def test_there_is_something_to_look_at() -> None:
    assert len(FILES) == 7
    assert len(BLOCKS) > 30


def test_everything_that_is_referred_to_is_declared() -> None:
    assert referred_to() - declared() == set()


def test_every_variable_and_local_is_used_and_every_variable_says_what_it_is() -> None:
    assert {one for one in declared() if one.startswith(("var.", "local."))} - referred_to() == set()
    for kind, _, name, body in BLOCKS:
        if kind == "variable":
            assert body["description"].endswith("."), name
            assert body["type"], name


def test_the_event_source_mapping_is_as_the_contract_says() -> None:
    """Against the contract's page, by the names of the Lambda API."""
    mapping = resource("aws_lambda_event_source_mapping", "indexer")
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    assert mapping["bisect_batch_on_function_error"] is True
    assert f"| `MaximumRetryAttempts` | {mapping['maximum_retry_attempts']} |" in CONTRACT
    assert f"| `MaximumRecordAgeInSeconds` | {mapping['maximum_record_age_in_seconds']:,} |" in CONTRACT
    assert f"| `StartingPosition` | `{mapping['starting_position']}` |" in CONTRACT
    assert "| `BatchSize` | 100 to 1,000 |" in CONTRACT
    assert 100 <= mapping["batch_size"] <= 1_000
    assert "filter_criteria" not in mapping
    (destination,) = mapping["destination_config"]
    assert destination["on_failure"] == [{"destination_arn": "${aws_sqs_queue.dead_letters.arn}"}]


def test_the_stream_carries_both_images() -> None:
    table = resource("aws_dynamodb_table", "items")
    assert (table["stream_enabled"], table["stream_view_type"]) == (True, "NEW_AND_OLD_IMAGES")


def test_dead_letters_are_kept_encrypted_and_alarmed() -> None:
    queue = resource("aws_sqs_queue", "dead_letters")
    assert queue["message_retention_seconds"] >= 4 * 86_400
    assert queue["kms_master_key_id"]
    alarm = resource("aws_cloudwatch_metric_alarm", "dead_letters")
    assert (alarm["namespace"], alarm["metric_name"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert alarm["dimensions"] == {"QueueName": "${aws_sqs_queue.dead_letters.name}"}
    assert (alarm["comparison_operator"], alarm["threshold"]) == ("GreaterThanThreshold", 0)
    assert alarm["alarm_actions"] == ["${var.on_call_topic_arn}"]


def test_every_alarm_tells_somebody() -> None:
    alarms = [body for kind, of_type, _, body in BLOCKS if of_type == "aws_cloudwatch_metric_alarm"]
    assert len(alarms) == 4
    assert all(alarm["alarm_actions"] == ["${var.on_call_topic_arn}"] for alarm in alarms)


def test_what_the_cutover_and_a_rollback_change_is_left_alone_by_the_next_apply() -> None:
    assert {of_type: body["lifecycle"] for _, of_type, _, body in BLOCKS if "lifecycle" in body} == {
        "aws_lambda_function": [{"ignore_changes": ["filename"]}],
        "aws_lambda_alias": [{"ignore_changes": ["function_version", "routing_config"]}],
        "aws_lambda_event_source_mapping": [{"ignore_changes": ["enabled"]}],
    }


def test_the_function_is_the_reference_indexer() -> None:
    function = resource("aws_lambda_function", "indexer")
    module, _, name = function["handler"].rpartition(".")
    assert callable(getattr(__import__(module, fromlist=[name]), name))
    (environment,) = function["environment"]
    known = {"DYNAMO_OPENSEARCH_" + one for one in ("TARGET_FILE", "ENVIRONMENT", "URL", "AUTH")}
    assert set(environment["variables"]) == known
    assert all(f"| `{name}` |" in CONTRACT for name in known)
    assert function["timeout"] >= 60


def test_no_statement_allows_everything() -> None:
    documents = [body for kind, of_type, _, body in BLOCKS if of_type == "aws_iam_policy_document"]
    statements = [one for document in documents for one in document["statement"]]
    assert not [one for one in statements if any("*" in action for action in one["actions"])]
    assert [one["actions"] for one in statements if one.get("resources") == ["*"]] == [["dynamodb:ListStreams"]]


def test_the_output_is_what_an_environment_of_a_target_file_takes() -> None:
    (value,) = (body["value"] for kind, _, name, body in BLOCKS if (kind, name) == ("output", "environment"))
    value["vpc_endpoint"] |= {"subnets": ["subnet-1"], "from_security_groups": ["sg-1"]}
    value["indexer"]["event_source_mapping"] = "9e471faa-d716-4725-925a-03fb5b2057ef"
    value["opensearch"]["domain"] = "arn:aws:es:eu-central-1:123456789012:domain/members"
    value["dead_letters"]["alarm_action"] = "arn:aws:sns:eu-central-1:123456789012:on-call"
    value["dead_letters"]["queue"] = value["indexer"]["function"] = value["vpc_endpoint"]["id"] = "members"
    value["region"] = "eu-central-1"
    Environment.model_validate(yaml.safe_load(yaml.safe_dump(value)))
