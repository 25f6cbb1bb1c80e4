"""How far a deployment has come, and whether ECS itself turned it round."""

from typing import Any

from dynamo_opensearch.core.services.component import Progress
from dynamo_opensearch.core.services.ecs_history import ROLLED_BACK, UNDER_WAY, EcsHistory, ServiceDeployment
from dynamo_opensearch.core.services.ecs_service import EcsServiceState
from dynamo_opensearch.core.services.in_service import InService, shown, time_us

_EARLIER_US = 60_000_000
"""A service deployment is made some seconds before the deployment that DescribeServices lists for it."""


def rolling(state: EcsServiceState, history: EcsHistory) -> Progress:
    """Of the deployment that is primary.

    Stable: completed, as many tasks as shall be, no other deployment has tasks left, and no service deployment goes on.
    """
    now = shown(state.primary["taskDefinition"])
    if state.primary.get("rolloutState") == "FAILED":
        reason = state.primary.get("rolloutStateReason", "")
        return Progress(
            state="failed",
            text=f"the deployment circuit breaker acted: the deployment of {now} to {state.path} was stopped "
            f"({reason}). It is not rolled back by ECS: rollback is off. {_look_at_tasks(state)} Start the target's "
            "rollback_service to undo the change.",
        )
    if _is_rolled_out(state) and not _goes_on(history):
        breaker = "the deployment circuit breaker did not act" if state.has_breaker else "it has no circuit breaker"
        return Progress(
            state="stable", text=f"{state.path} is stable on {now}: {state.running} of {state.desired} tasks; {breaker}"
        )
    told = "".join(f"\n  {message}" for message in state.events())
    return Progress(state="under way", text=f"{state.path}, {now}: {state.counts}. ECS's last events:{told or ' none'}")


def displaced(state: EcsServiceState, history: EcsHistory, shall: InService) -> Progress:
    """What became of a deployment that is not primary any more."""
    wanted, now = shown(shall.version), shown(state.in_service.version)
    failure = _failure(state, history, shall)
    if failure is None:
        return Progress(
            state="replaced",
            text=f"{state.path} serves {now}, not {wanted}: somebody else has deployed meanwhile. Find out who; then "
            "start this DAG again, it will plan anew.",
        )
    return Progress(
        state="rolled back",
        text=f"{failure}: ECS went back from {wanted} to {now}. {_look_at_tasks(state)} Rollbacks pass {wanted} "
        "over from now on. Mend what kept it from starting, or take another one; then start this DAG again.",
    )


def _is_rolled_out(state: EcsServiceState) -> bool:
    primary = state.primary
    others = [one for one in state.deployments if one is not primary and one.get("id") != primary.get("id")]
    is_alone = not any(one.get("runningCount") or one.get("pendingCount") or one.get("desiredCount") for one in others)
    is_completed = primary.get("rolloutState", "COMPLETED") == "COMPLETED"
    return is_completed and is_alone and state.running == state.desired


def _goes_on(history: EcsHistory) -> bool:
    """Whether the newest service deployment has not ended; a blue/green one bakes after all its tasks run."""
    newest = next(iter(history.deployments), None)
    return newest is not None and newest.status in UNDER_WAY


def _failure(state: EcsServiceState, history: EcsHistory, shall: InService) -> str | None:
    """Why ECS took it back; None where it did not."""
    for one, definition in history.with_definitions():
        if one.created_us < shall.since_us - _EARLIER_US:
            break
        if definition == shall.version and one.status in ROLLED_BACK:
            return _told(one, history.details(one))
    for deployment in state.deployments:
        is_ours = deployment["taskDefinition"] == shall.version and _since_us(deployment) >= shall.since_us
        if is_ours and state.ended(deployment) == "FAILED":
            return f"the deployment circuit breaker acted ({deployment.get('rolloutStateReason') or 'no reason told'})"
    if shall.token and state.failed(shall.token):
        return f"the deployment circuit breaker acted, by the service's events on deployment {shall.token}"
    return None


def _told(deployment: ServiceDeployment, details: dict[str, Any]) -> str:
    """Breaker, alarm or person, from the details of a service deployment."""
    reason = details.get("rollback", {}).get("reason") or deployment.reason or "no reason told"
    breaker, alarms = details.get("deploymentCircuitBreaker", {}), details.get("alarms", {})
    if breaker.get("status") == "TRIGGERED":
        counted = f"{breaker.get('failureCount', 0)} failures, threshold {breaker.get('threshold', 0)}"
        return f"the deployment circuit breaker acted ({counted}; {reason})"
    if alarms.get("status") == "TRIGGERED":
        return f"an alarm of the deployment went off: {', '.join(alarms.get('triggeredAlarmNames', ()))} ({reason})"
    return f"the deployment was rolled back ({reason})"


def _since_us(deployment: dict[str, Any]) -> int:
    return time_us(deployment.get("createdAt"))


def _look_at_tasks(state: EcsServiceState) -> str:
    return (
        f"Look at the stopped tasks: aws ecs list-tasks --cluster {state.cluster} --service-name {state.name} "
        "--desired-status STOPPED, then aws ecs describe-tasks."
    )
