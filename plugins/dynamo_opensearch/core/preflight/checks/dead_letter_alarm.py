"""CloudWatch's alarm on the depth of the dead-letter queue."""

from typing import Any

from dynamo_opensearch.core.preflight.checks.dead_letters import dead_letter_settings, queue_name
from dynamo_opensearch.core.preflight.findings import Finding
from dynamo_opensearch.core.preflight.lines import compact
from dynamo_opensearch.core.preflight.look import Look, in_terraform
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import DeadLetterSettings

_NAMESPACE, _METRIC = "AWS/SQS", "ApproximateNumberOfMessagesVisible"
_RISING = ("GreaterThanThreshold", "GreaterThanOrEqualToThreshold")
_ANY_TOPIC = "<ARN of the topic that wakes somebody>"
_COMPARED = {
    "statistic": "Statistic",
    "threshold": "Threshold",
    "comparison_operator": "ComparisonOperator",
    "period": "Period",
    "evaluation_periods": "EvaluationPeriods",
    "treat_missing_data": "TreatMissingData",
    "actions_enabled": "ActionsEnabled",
}
_ALARM = {
    "Statistic": "Maximum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}


def look_at_dead_letter_alarm(side: Side) -> Look:
    """Whether one alarm at least tells somebody that there are dead letters.

    Alarms that are made of a formula or of other alarms are not found by their metric, and so not seen.

    Raises:
        NotAskedForError: the target file names no queue.
        AccessDeniedError, ServiceUnavailableError: it cannot be asked.
    """
    settings = dead_letter_settings(side)
    queue = queue_name(settings.queue)
    answer = side.aws.ask(
        "cloudwatch",
        "describe_alarms_for_metric",
        queue,
        Namespace=_NAMESPACE,
        MetricName=_METRIC,
        Dimensions=[{"Name": "QueueName", "Value": queue}],
    )
    alarms = [one for one in answer["MetricAlarms"] if _is_of(one, queue)]
    judged = sorted(((_findings(side, settings, one), one) for one in alarms), key=lambda pair: len(pair[0]))
    if not judged:
        return Look(seen="no alarm", findings=(_missing(side, settings, queue),))
    findings, best = judged[0]
    return Look(
        seen=f"alarm {best['AlarmName']}: {best.get('StateValue', 'no state')}",
        findings=tuple(findings),
        fields={name: best.get(member) for name, member in _COMPARED.items()},
        align=in_terraform(f"aws_cloudwatch_metric_alarm {best['AlarmName']}"),
    )


def _is_of(alarm: dict[str, Any], queue: str) -> bool:
    """Whether it watches this queue; asked for here as well, since not every server filters by dimension."""
    return {one["Name"]: one["Value"] for one in alarm.get("Dimensions") or ()} == {"QueueName": queue}


def _missing(side: Side, settings: DeadLetterSettings, queue: str) -> Finding:
    return Finding(
        what=f"alarm on {_METRIC} of {queue}",
        found="nothing",
        expected="an alarm that notifies somebody",
        remedy=_put_line(side, {"AlarmName": f"{queue}-depth", **_metric_of(queue), **_ALARM}, settings),
    )


def _findings(side: Side, settings: DeadLetterSettings, alarm: dict[str, Any]) -> list[Finding]:
    name, actions = alarm["AlarmName"], alarm.get("AlarmActions") or []
    found = []
    if not alarm.get("ActionsEnabled", True):
        found.append(
            Finding(
                what=f"actions of alarm {name}",
                found="disabled",
                expected="enabled",
                remedy=side.aws_line("cloudwatch", "enable-alarm-actions", alarm_names=[name]),
            )
        )
    if not actions or (settings.alarm_action is not None and settings.alarm_action not in actions):
        found.append(
            Finding(
                what=f"action of alarm {name}",
                found=", ".join(actions) or "none",
                expected=settings.alarm_action or "a topic that is notified",
                remedy=_put_line(side, _as_put(alarm), settings, actions),
            )
        )
    if alarm.get("ComparisonOperator") not in _RISING:
        risen = {**_as_put(alarm), "ComparisonOperator": _ALARM["ComparisonOperator"], "Threshold": 0}
        found.append(
            Finding(
                what=f"comparison of alarm {name}",
                found=str(alarm.get("ComparisonOperator")),
                expected=" or ".join(_RISING),
                remedy=_put_line(side, risen, settings, actions),
            )
        )
    return found


def _metric_of(queue: str) -> dict[str, Any]:
    return {
        "Namespace": _NAMESPACE,
        "MetricName": _METRIC,
        "Dimensions": [{"Name": "QueueName", "Value": queue}],
    }


def _as_put(alarm: dict[str, Any]) -> dict[str, Any]:
    """What PutMetricAlarm takes of an alarm as it is: it replaces the whole of it."""
    kept = (
        "AlarmName",
        "AlarmDescription",
        "ActionsEnabled",
        "OKActions",
        "InsufficientDataActions",
        "MetricName",
        "Namespace",
        "Statistic",
        "ExtendedStatistic",
        "Dimensions",
        "Period",
        "EvaluationPeriods",
        "DatapointsToAlarm",
        "Threshold",
        "ComparisonOperator",
        "TreatMissingData",
    )
    return {name: alarm[name] for name in kept if alarm.get(name) not in (None, "", [])}


def _put_line(side: Side, alarm: dict[str, Any], settings: DeadLetterSettings, actions: list[str] | None = None) -> str:
    wanted = [settings.alarm_action] if settings.alarm_action else [] if actions else [_ANY_TOPIC]

    body = {**alarm, "AlarmActions": [*(actions or []), *(one for one in wanted if one not in (actions or []))]}
    return side.aws_line("cloudwatch", "put-metric-alarm", cli_input_json=compact(body))
