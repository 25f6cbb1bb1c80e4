"""The tasks of a replay of dead letters: plan, replay in several consumers or only look, report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.dead_letters.messages import MessageSource
from dynamo_opensearch.core.dead_letters.replay.consumer import Replay
from dynamo_opensearch.core.dead_letters.replay.intake import IntakeSettings
from dynamo_opensearch.core.dead_letters.replay.peek import Peek
from dynamo_opensearch.core.dead_letters.replay.report import ReplayReport
from dynamo_opensearch.core.dead_letters.replay.results import check_replay, keep_report, shareable
from dynamo_opensearch.core.dead_letters.stored_messages import ParkedMessages, RejectedDocuments
from dynamo_opensearch.core.runbook import PARKED as RUNBOOK_PARKED
from dynamo_opensearch.operators.dead_letter_files import parking_of, reject_files_of
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.object_storage import ObjectStorageRejectSink, path_part, reports_path
from dynamo_opensearch.operators.task_state import PROGRESS_KEY, progress_store
from dynamo_opensearch.wiring.acting_as import tell_acting_as
from dynamo_opensearch.wiring.dead_letters import dead_letter_queue
from dynamo_opensearch.wiring.replaying import (
    check_mapping_on_dead_letters,
    living_indices,
    peek_ports,
    replay_ports,
    replay_settings,
    table_identity,
    understand_messages,
    understand_rejects,
)
from dynamo_opensearch.wiring.target_connections import TargetConnections

QUEUE, REJECTS, PARKED = "queue", "rejects", "parked"


@contextmanager
def open_source(connections: TargetConnections, source: str) -> Iterator[MessageSource]:
    """The dead letters of this kind; what is held of a queue is given back in the end, whatever happens."""
    if source == QUEUE:
        with dead_letter_queue(connections) as queue:
            yield queue
    elif source == REJECTS:
        yield RejectedDocuments(reject_files_of(connections))
    else:
        yield ParkedMessages(parking_of(connections))


class PlanReplayOperator(BaseOperator):
    """Look at the source, the table's key and the living indices. Writes nothing.

    Returns one share for each consumer: ``most`` messages, None for all. The plan is under the XCom key ``plan``.

    :param target: name of the target.
    :param source: ``queue``, ``rejects`` or ``parked``.
    :param max_messages: messages for all consumers together; None: all that are there.
    :param is_dry_run: no consumer is planned.
    """

    template_fields: Sequence[str] = ("source", "max_messages", "is_dry_run")

    def __init__(
        self,
        *,
        target: str,
        source: str = QUEUE,
        max_messages: int | str | None = None,
        is_dry_run: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target, self.source, self.max_messages, self.is_dry_run = target, source, max_messages, is_dry_run

    def execute(self, context: Context) -> list[dict[str, int | None]]:
        """Return what ``replay`` is mapped over; push ``plan``."""
        tell_acting_as(self.target, self.log)
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            began_us = connections.clock.time_us()
            table_identity(connections)
            indices = [live.feed.index for live in living_indices(connections).current()]
            with open_source(connections, self.source) as source:
                depth = source.depth()
        settings = connections.environment.dead_letters
        consumers = settings.consumers if settings is not None and self.source == QUEUE else 1
        most = None if self.max_messages is None else int(self.max_messages)
        context["ti"].xcom_push(
            key="plan", value={"source": self.source, "began_us": began_us, "most": most, "indices": indices}
        )
        self.log.info(
            "%s of target %s: about %d messages, %d more are being worked on; %s; every item goes to %s",
            self.source,
            self.target,
            depth.visible,
            depth.in_flight,
            "only looked at" if self.is_dry_run else f"{consumers} consumers",
            ", ".join(indices),
        )
        return [] if self.is_dry_run else _shares(most, consumers)


class ReplayDeadLettersOperator(BaseOperator):
    """One consumer: replays until the messages are gone that were there when the run began. Safe to run again.

    :param target: name of the target.
    :param plan: the plan.
    :param share: what of it is this consumer's.
    """

    template_fields: Sequence[str] = ("plan", "share")

    def __init__(self, *, target: str, plan: Any, share: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.share = target, plan, share

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the report of all tries."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            with open_source(connections, self.plan["source"]) as source:
                report = self._replay(connections, source, context)
        self.log.info("replayed in this task:\n%s", report)
        return shareable(report, show_keys=connections.target.show_keys)

    def _replay(self, connections: TargetConnections, source: MessageSource, context: Context) -> ReplayReport:
        is_queue, dead_letters = self.plan["source"] == QUEUE, connections.environment.dead_letters
        store = progress_store(context, connections.patient, PROGRESS_KEY)
        folder = self._reject_folder(connections, context)
        understand = understand_rejects if self.plan["source"] == REJECTS else understand_messages
        ports = replay_ports(
            connections,
            source,
            understand(connections),
            store,
            lambda index: ObjectStorageRejectSink(folder / index),
            parking_of(connections) if is_queue else None,
        )
        done = ports.progress.report.received
        most = self.share["most"]
        intake = IntakeSettings(
            began_us=self.plan["began_us"],
            most=None if most is None else max(0, most - done),
            others_s=150.0 if is_queue else 0.0,
        )
        most_receives = dead_letters.max_receives if is_queue and dead_letters is not None else None
        settings = replay_settings(connections, str(context["run_id"]), intake, max_receives=most_receives)
        return Replay(settings, ports).run()

    def _reject_folder(self, connections: TargetConnections, context: Context) -> Any:
        base = reports_path(connections.environment.reports) / "rejects" / self.target
        return base / path_part(str(context["run_id"])) / f"{self.task_id}-{self.share['consumer']}"


class LookAtDeadLettersOperator(BaseOperator):
    """Say what a replay would find; with ``into_mapping``, also what that mapping would refuse. Gives all back.

    :param target: name of the target.
    :param plan: the plan.
    :param into_mapping: a mapping file to try the items on.
    :param is_wanted: skip without it.
    """

    template_fields: Sequence[str] = ("plan", "into_mapping", "is_wanted")

    def __init__(
        self, *, target: str, plan: Any, into_mapping: str | None = None, is_wanted: bool | str = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.into_mapping, self.is_wanted = target, plan, into_mapping, is_wanted

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Return the report; fails where the mapping refuses an item."""
        if not self.is_wanted:
            raise AirflowSkipException("this run replays; it does not only look")
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            report = self._look(connections)
        self.log.info("found, and given back:\n%s", report)
        return shareable(report, show_keys=connections.target.show_keys)

    def _look(self, connections: TargetConnections) -> ReplayReport:
        understand = understand_rejects if self.plan["source"] == REJECTS else understand_messages
        is_queue = self.plan["source"] == QUEUE
        intake = IntakeSettings(
            began_us=self.plan["began_us"], most=self.plan["most"], others_s=150.0 if is_queue else 0.0
        )
        with open_source(connections, self.plan["source"]) as source:
            peek = Peek(intake, peek_ports(connections, source, understand(connections)))
            if not self.into_mapping:
                return peek.through()
            check = check_mapping_on_dead_letters(connections, self.into_mapping, peek)
        self.log.info("mapping %s: %d documents tried, %d refused", check.file, check.samples, len(check.rejects))
        for line in check.changes.lines():
            self.log.info("mapping %s: %s", check.file, line)
        check.check()
        return peek.report


class ReportReplayOperator(BaseOperator):
    """Add up what the consumers did, keep it in the state index, and fail where too many documents were refused.

    :param target: name of the target.
    :param reports: what the consumers returned.
    """

    template_fields: Sequence[str] = ("reports",)

    def __init__(self, *, target: str, reports: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.reports = target, reports

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the whole report."""
        total = sum((ReplayReport.from_json(one) for one in self.reports or ()), ReplayReport())
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            keep_report(connections.state("replays"), total, str(context["run_id"]), connections.clock.time_us())
            self.log.info("replay of target %s:\n%s", self.target, total)
            if total.parked:
                self.log.warning("%s", _parked_text(total, str(parking_of(connections).folder)))
            check_replay(total, connections.target.budgets.max_rejects)
        return total.to_json()


def _shares(most: int | None, consumers: int) -> list[dict[str, int | None]]:
    """What each consumer may take; none that may take nothing."""
    if most is None:
        return [{"consumer": number, "most": None} for number in range(consumers)]
    shares = [most // consumers + (number < most % consumers) for number in range(consumers)]
    return [{"consumer": number, "most": share} for number, share in enumerate(shares) if share]


def _parked_text(report: ReplayReport, folder: str) -> str:
    lines = [
        f"{one.id}: {one.kind}, {one.reason}{'; items ' + ', '.join(one.ids) if one.ids else ''}"
        for one in report.samples
    ]
    return (
        f"{report.parked} messages are parked in {folder}. {report.waiting} of them wait for a reconciliation with "
        "depth `content` and repair `apply`, which makes their items good and removes them; the others are not "
        "understood: look at them, then start this DAG with source `parked`, or delete them. More: "
        f"{RUNBOOK_PARKED}\n" + "\n".join(lines)
    )
