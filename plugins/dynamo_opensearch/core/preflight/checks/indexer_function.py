"""The indexer's function: its last update succeeded, it is active, and it is not far behind the stream."""

from collections.abc import Iterator
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, ResourceMissingError
from dynamo_opensearch.core.aws.metrics import Metric, highest_values
from dynamo_opensearch.core.dynamodb.iterator_age import LOOK_BACK_S
from dynamo_opensearch.core.preflight.checks.event_source_mapping import indexer_settings
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.look import Look, in_terraform
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import IndexerSettings


def look_at_indexer_function(side: Side) -> Look:
    """The function, and the alias by which it is invoked where the target file names one.

    Raises:
        NotAskedForError: the target file names no indexer.
        AccessDeniedError, ServiceUnavailableError: it cannot be asked.
    """
    indexer = indexer_settings(side)
    try:
        found = _configuration(side, indexer.function)
    except ResourceMissingError:
        return Look(seen="no such function", findings=(_missing(side, indexer),))
    invoked, findings = found, [*_update_findings(side, indexer, found)]
    if indexer.alias is not None:
        try:
            invoked = _configuration(side, indexer.function, Qualifier=indexer.alias)
        except ResourceMissingError:
            findings.append(_missing_alias(side, indexer))
    findings += _state_findings(side, indexer, invoked)
    age_s = _iterator_age_s(side, indexer)
    findings += _age_findings(side, indexer, age_s)
    behind = "no batch in the last 15 minutes" if age_s is None else f"{age_s:.0f} s behind the stream"
    return Look(
        seen=f"{indexer.function}: {invoked.get('State')}, {behind}",
        findings=tuple(findings),
        fields=_fields(invoked),
        align=in_terraform(f"aws_lambda_function {indexer.function}"),
    )


def _configuration(side: Side, function: str, **qualifier: str) -> dict[str, Any]:
    name = ":".join([function, *qualifier.values()])
    return side.aws.ask("lambda", "get_function_configuration", name, FunctionName=function, **qualifier)


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    """By the names of Terraform's aws_lambda_function. Of variables only the names: a value may be a secret."""
    return {
        "runtime": found.get("Runtime"),
        "handler": found.get("Handler"),
        "architectures": sorted(found.get("Architectures") or ["x86_64"]),
        "memory_size": found.get("MemorySize"),
        "timeout": found.get("Timeout"),
        "environment": sorted((found.get("Environment") or {}).get("Variables") or {}),
        "is_in_vpc": bool((found.get("VpcConfig") or {}).get("VpcId")),
    }


def _missing(side: Side, indexer: IndexerSettings) -> Finding:
    role = next((one.arn for one in side.environment.roles.values() if "lambda.amazonaws.com" in one.assumed_by), None)
    return Finding(
        what=f"function {indexer.function}",
        found="nothing",
        expected="the indexer",
        remedy="make indexer-zip && "
        + side.aws_line(
            "lambda",
            "create-function",
            function_name=indexer.function,
            runtime="python3.13",
            handler="dynamo_opensearch.indexer.handler.handler",
            role=role or "<ARN of its role>",
            timeout=60,
            memory_size=512,
            zip_file="fileb://build/indexer/<file>.zip",
            publish=True,
        ),
    )


def _missing_alias(side: Side, indexer: IndexerSettings) -> Finding:
    publish = side.aws_line("lambda", "publish-version", function_name=indexer.function, query="Version", output="text")
    create = side.aws_line("lambda", "create-alias", function_name=indexer.function, name=indexer.alias)
    return Finding(
        what=f"alias {indexer.alias} of {indexer.function}",
        found="nothing",
        expected="the alias that the event source mapping invokes",
        remedy=f'{create} --function-version "$({publish})"',
    )


def _update_findings(side: Side, indexer: IndexerSettings, found: dict[str, Any]) -> Iterator[Finding]:
    """An update that failed leaves the former code in place, and nobody notices."""
    status = found.get("LastUpdateStatus", "Successful")
    if status == "Successful":
        return
    reason = found.get("LastUpdateStatusReasonCode")
    if status == "InProgress":
        remedy = side.aws_line("lambda", "wait function-updated-v2", function_name=indexer.function)
    else:
        zip_file = "fileb://build/indexer/<file>.zip"
        remedy = "make indexer-zip && " + side.aws_line(
            "lambda", "update-function-code", function_name=indexer.function, zip_file=zip_file, publish=True
        )
    yield Finding(
        what="last update",
        found=f"{status} ({reason})" if reason else str(status),
        expected="Successful",
        remedy=remedy,
    )


def _state_findings(side: Side, indexer: IndexerSettings, found: dict[str, Any]) -> Iterator[Finding]:
    state = found.get("State", "Active")
    if state == "Active":
        return
    reason = found.get("StateReasonCode")
    line = side.aws_line(
        "lambda",
        "get-function-configuration",
        function_name=indexer.function,
        query="[State,StateReasonCode,StateReason]",
        qualifier=indexer.alias,
    )
    # One that was idle for weeks is woken by the first event; the others say why they are not active.
    yield Finding(
        what="state",
        found=f"{state} ({reason})" if reason else str(state),
        expected="Active",
        remedy=f"{line}; deploy it again when that is Failed, start this DAG again when it is Pending",
    )


def _age_findings(side: Side, indexer: IndexerSettings, age_s: float | None) -> Iterator[Finding]:
    if age_s is not None and age_s > indexer.iterator_age_s:
        yield Finding(
            what="iterator age",
            found=f"{age_s:.0f} s, the highest of the last 15 minutes",
            expected=f"at most {indexer.iterator_age_s:.0f} s",
            remedy=side.aws_line("logs", f"tail /aws/lambda/{indexer.function}", since="30m"),
        )


def _iterator_age_s(side: Side, indexer: IndexerSettings) -> float | None:
    """The highest age of the last 15 minutes; None where no batch was worked on."""
    dimensions = [("FunctionName", indexer.function)]
    if indexer.alias is not None:
        dimensions.append(("Resource", f"{indexer.function}:{indexer.alias}"))
    metric = Metric(namespace="AWS/Lambda", name="IteratorAge", dimensions=tuple(dimensions), resource=indexer.function)
    points = highest_values(_AskedMetrics(side.aws, indexer.function), metric, LOOK_BACK_S, side.clock, side.retry)
    return max(point.value for point in points) / 1e3 if points else None


class _AskedMetrics:
    """CloudWatch's client as ``highest_values`` takes it, by way of the control plane."""

    def __init__(self, aws: ControlPlane, resource: str) -> None:
        self._aws, self._resource = aws, resource

    def get_metric_statistics(self, **arguments: Any) -> dict[str, Any]:
        """As boto3's."""
        return self._aws.ask("cloudwatch", "get_metric_statistics", self._resource, **arguments)
