"""The checklist: each of its lines as a check, and what a check comes to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dynamo_opensearch.core.errors import AccessDeniedError, PermanentError, ServiceUnavailableError
from dynamo_opensearch.core.opensearch.errors import SERVICE as OPENSEARCH
from dynamo_opensearch.core.preflight.checks.auto_create_index import look_at_auto_create_index
from dynamo_opensearch.core.preflight.checks.cluster import look_at_cluster
from dynamo_opensearch.core.preflight.checks.cognito import look_at_cognito
from dynamo_opensearch.core.preflight.checks.dead_letter_alarm import look_at_dead_letter_alarm
from dynamo_opensearch.core.preflight.checks.dead_letters import look_at_dead_letters
from dynamo_opensearch.core.preflight.checks.event_source_mapping import look_at_event_source_mapping
from dynamo_opensearch.core.preflight.checks.free_disk import look_at_free_disk
from dynamo_opensearch.core.preflight.checks.index_mapping import look_at_index_mapping
from dynamo_opensearch.core.preflight.checks.indexer_function import look_at_indexer_function
from dynamo_opensearch.core.preflight.checks.reachability import REACHABILITY, look_at_reachability
from dynamo_opensearch.core.preflight.checks.roles import look_at_roles
from dynamo_opensearch.core.preflight.checks.stream import look_at_stream
from dynamo_opensearch.core.preflight.checks.table import look_at_table
from dynamo_opensearch.core.preflight.checks.vpc_endpoint import look_at_vpc_endpoint
from dynamo_opensearch.core.preflight.findings import BlockedError, CheckResult, Finding, NotAskedForError
from dynamo_opensearch.core.preflight.look import Look, compare
from dynamo_opensearch.core.preflight.refusals import refused_finding
from dynamo_opensearch.core.preflight.side import Side


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the checklist. ``name``: of its task, and of its section in docs/runbook.md."""

    name: str
    title: str
    look: Callable[[Side], Look]


CHECKLIST = tuple(
    Check(name=name, title=title, look=look)
    for name, title, look in (
        (REACHABILITY, "OpenSearch answers this worker", look_at_reachability),
        ("cluster", "the cluster is well, and new enough", look_at_cluster),
        ("free_disk", "there is room for a second index", look_at_free_disk),
        ("auto_create_index", "the cluster makes no index by accident", look_at_auto_create_index),
        ("index_mapping", "mapping and settings of the index are those of the mapping file", look_at_index_mapping),
        ("table", "keys, types, indexes, billing, expiry and recovery of the table", look_at_table),
        ("stream", "the table's stream is on, with the right images", look_at_stream),
        ("roles", "the roles are there, assumed by the right services, allowed what they need", look_at_roles),
        ("vpc_endpoint", "the way to OpenSearch within the VPC is open", look_at_vpc_endpoint),
        ("cognito", "user pool and app client of the API", look_at_cognito),
        ("dead_letters", "the dead-letter queue is there, encrypted, long-lived", look_at_dead_letters),
        ("dead_letter_alarm", "an alarm tells somebody of dead letters", look_at_dead_letter_alarm),
        ("event_source_mapping", "the indexer is called, as its contract says", look_at_event_source_mapping),
        ("indexer_function", "the indexer is active and not behind", look_at_indexer_function),
    )
)
"""In the order of the table that the gate prints."""

CHECKS = {check.name: check for check in CHECKLIST}

FIRST_STEPS = {
    "backfill": (REACHABILITY, "cluster", "table"),
    "reindex": (REACHABILITY, "cluster", "free_disk", "table", "stream"),
    "cutover": (
        REACHABILITY,
        "cluster",
        "auto_create_index",
        "table",
        "roles",
        "vpc_endpoint",
        "cognito",
        "dead_letters",
        "dead_letter_alarm",
    ),
}
"""The checks that concern a DAG; its first task makes them."""

LOOK_AGAIN_AFTER_S = 3.0
"""A cluster is red for a moment while somebody makes an index."""


def run_checks(names: Sequence[str], side: Side) -> list[CheckResult]:
    """The checks of a run's first step, by no more calls than its DAG makes. Reads only.

    What did not pass is looked at once more a few seconds later, unless nothing could be told of it.

    Raises:
        ServiceUnavailableError: as ``run_check``.
    """
    side = replace(side, asks_all=False)
    results = {name: run_check(name, side) for name in names}
    again = [one.check for one in results.values() if one.state in ("failed", "blocked") and not one.is_untold]
    if again:
        side.clock.sleep(LOOK_AGAIN_AFTER_S)
    return list((results | {name: run_check(name, side) for name in again}).values())


def run_check(name: str, side: Side, other: Side | None = None) -> CheckResult:
    """What the check of that name says of an environment and, beside another one, of how the two differ. Reads only.

    Raises:
        ServiceUnavailableError: a service of AWS went on failing; a later try may succeed.
    """
    check = CHECKS[name]
    looked = _looked(check, side)
    if isinstance(looked, CheckResult):
        return looked
    if other is None:
        return CheckResult.of(name, looked.seen, looked.findings)
    beside = _looked(check, other)
    if isinstance(beside, Look):
        findings = (*looked.findings, *compare(looked, beside, other.name))
        return CheckResult.of(name, looked.seen, findings)
    seen = f"{looked.seen}; of {other.name}: {beside.seen}"
    if beside.state == "not asked for":
        return CheckResult.of(name, seen, looked.findings)
    if beside.state == "blocked" and not looked.findings:
        return CheckResult(check=name, state="blocked", seen=seen)
    findings = (*looked.findings, *(replace(one, what=f"{one.what} in {other.name}") for one in beside.findings))
    return CheckResult.of(name, seen, findings)


def _looked(check: Check, side: Side) -> Look | CheckResult:
    """What was seen; a result where that is nothing to compare with."""
    try:
        return check.look(side)
    except NotAskedForError as error:
        return CheckResult(check=check.name, state="not asked for", seen=str(error))
    except BlockedError as error:
        return CheckResult(check=check.name, state="blocked", seen=str(error))
    except ServiceUnavailableError as error:
        if error.service != OPENSEARCH:
            raise
        return _by_reachability(check, f"{side.endpoint} does not answer")
    except AccessDeniedError as error:
        if (error.service, error.resource) == (OPENSEARCH, "/"):
            return _by_reachability(check, f"{side.endpoint} refuses")
        return _untold(check, "it may not be asked", refused_finding(side, error))
    except PermanentError as error:
        return _untold(check, "it cannot be told", _unexpected(error))


def _by_reachability(check: Check, why: str) -> CheckResult:
    return CheckResult(check=check.name, state="blocked", seen=str(BlockedError(REACHABILITY, why)))


def _untold(check: Check, why: str, finding: Finding) -> CheckResult:
    return replace(CheckResult.of(check.name, why, [finding]), is_untold=True)


def _unexpected(error: PermanentError) -> Finding:
    """An error of the package, whose text has what happened and then what to do."""
    said, _, advice = str(error).partition(". ")
    return Finding(what=type(error).__name__, found=said, expected="an answer", remedy=advice or said)
