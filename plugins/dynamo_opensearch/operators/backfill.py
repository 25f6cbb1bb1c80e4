"""The tasks of a backfill: plan, prepare the index, copy segments, put its settings back, add up."""

from collections.abc import Iterable, Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.backfill.copy import CopyPorts, CopySettings, copy_segments
from dynamo_opensearch.core.backfill.finishing import add_up, finish_backfill
from dynamo_opensearch.core.backfill.planning import BackfillPlan, BackfillWishes, PlanPorts, plan_backfill
from dynamo_opensearch.core.backfill.preparing import PreparedIndex, prepare_index, put_settings_back
from dynamo_opensearch.core.backfill.progress import CopyIdentity, CopyProgress
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.dynamodb.scan import ScanSettings
from dynamo_opensearch.core.dynamodb.table_description import check_same_table, describe_table
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.object_storage import ObjectStorageRejectSink, path_part, reports_path
from dynamo_opensearch.operators.task_state import PROGRESS_KEY, progress_store
from dynamo_opensearch.wiring.target_connections import TargetConnections


class PlanBackfillOperator(BaseOperator):
    """Look at both sides, refuse what does not fit, divide the work. Writes nothing.

    Returns the first and last segment of each mapped task; the whole plan is under the XCom key ``plan``.

    :param target: name of the target.
    :param segments: scan segments, 1 to 1,000,000; None: from the table's size.
    :param read_units_per_s: for all tasks together; None: the target's budget.
    :param index: another index of the target than the one behind its alias.
    :param mapping: another mapping file than the target's.
    :param is_wanted: without it, nothing is planned and nothing copied.
    """

    template_fields: Sequence[str] = ("segments", "read_units_per_s", "index", "mapping", "is_wanted")

    def __init__(
        self,
        *,
        target: str,
        segments: int | str | None = None,
        read_units_per_s: float | str | None = None,
        index: str | None = None,
        mapping: str | None = None,
        is_wanted: bool | str = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target, self.segments, self.read_units_per_s, self.index = target, segments, read_units_per_s, index
        self.mapping, self.is_wanted = mapping, is_wanted

    def execute(self, context: Context) -> list[list[int]]:
        """Return what ``copy`` is mapped over; push ``plan``."""
        if not self.is_wanted:
            self.log.info("nothing is copied from the table in this run")
            return []
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            wishes = BackfillWishes(
                segments=None if self.segments is None else int(self.segments),
                read_units_per_s=None if self.read_units_per_s is None else float(self.read_units_per_s),
                index=self.index or None,
            )
            plan = plan_backfill(
                connections.target,
                connections.mapping(self.mapping),
                connections.builder,
                connections.stamps,
                wishes,
                PlanPorts(table=connections.table, cluster=connections.patient, clock=connections.clock),
            )
        self.log.info("%s", plan)
        value = plan.to_json()
        tasks: list[list[int]] = value["tasks"]
        context["ti"].xcom_push(key="plan", value=value)
        return tasks


class PrepareIndexOperator(BaseOperator):
    """Create the index where there is none, and loosen its settings while nobody reads it. Safe to run again.

    :param target: name of the target.
    :param plan: the plan.
    :param is_dry_run: skip, and with it all that follows.
    """

    template_fields: Sequence[str] = ("plan", "is_dry_run")

    def __init__(self, *, target: str, plan: Any, is_dry_run: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.is_dry_run = target, plan, is_dry_run

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the index: ``index``, ``uuid``, ``is_loosened``."""
        if self.is_dry_run:
            raise AirflowSkipException("dry run: this is the plan; nothing was written")
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            prepared = prepare_index(
                BackfillPlan.from_json(self.plan),
                connections.mapping(),
                connections.builder,
                str(context["run_id"]),
                connections.patient,
            )
        self.log.info("%s", prepared)
        return prepared.to_json()


class CopySegmentsOperator(BaseOperator):
    """Copy some segments of the table. A retry goes on where the last try was acknowledged.

    :param target: name of the target.
    :param plan: the plan.
    :param prepared: the prepared index.
    :param segments: the first and the last of this task's segments.
    """

    template_fields: Sequence[str] = ("plan", "prepared", "segments")

    def __init__(
        self,
        *,
        target: str,
        plan: Any,
        prepared: Any,
        segments: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.prepared, self.segments = target, plan, prepared, segments

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the report of all tries: counts, reject reasons, and where the rejects are."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            plan = BackfillPlan.from_json(self.plan)
            check_same_table(describe_table(connections.table), plan.table_id)
            sink = ObjectStorageRejectSink(self._reject_folder(connections, context))
            progress = self._copy(connections, plan, sink, context)
        self.log.info("%s", progress.report)
        return {**progress.report.to_json(), "reasons": progress.reasons, "rejects": str(sink.folder)}

    def _copy(
        self, connections: TargetConnections, plan: BackfillPlan, sink: ObjectStorageRejectSink, context: Context
    ) -> CopyProgress:
        budgets = connections.target.budgets
        limit = InFlightLimit(budgets.requests_in_flight)
        first, last = self.segments
        segments = range(first, last + 1)
        return copy_segments(
            CopySettings(
                alias=plan.write_alias,
                index=plan.index,
                segments=segments,
                scan=ScanSettings(
                    total_segments=plan.total_segments, limit=budgets.scan_limit, consistent=budgets.consistent_scan
                ),
                stamps=connections.stamps,
                bulk_bytes=budgets.bulk_bytes,
                requests_in_flight=budgets.requests_in_flight,
                read_units_per_s=plan.read_units_per_s_and_task,
                items_estimated=plan.items_estimated * len(segments) // plan.total_segments,
            ),
            CopyPorts(
                table=connections.table,
                builder=connections.builder,
                sender=connections.sender(
                    plan.write_alias, limit, is_fed_by_indexer=plan.write_alias == connections.target.alias
                ),
                limit=limit,
                store=progress_store(context, connections.patient, PROGRESS_KEY),
                sink=sink,
                clock=connections.clock,
            ),
            CopyIdentity(
                table_id=plan.table_id,
                index_uuid=PreparedIndex.from_json(self.prepared).uuid,
                rules=plan.rules_fingerprint,
                segments=segments,
                total_segments=plan.total_segments,
            ),
        )

    def _reject_folder(self, connections: TargetConnections, context: Context) -> Any:
        base = reports_path(connections.environment.reports)
        map_index = getattr(context["ti"], "map_index", 0)
        return base / "rejects" / self.target / path_part(str(context["run_id"])) / f"{self.task_id}-{map_index}"


class RestoreIndexSettingsOperator(BaseOperator):
    """Put the index's settings back to what its mapping file says, whatever came of the copy. Safe to run again.

    :param target: name of the target.
    :param prepared: the prepared index.
    :param mapping: another mapping file than the target's.
    """

    template_fields: Sequence[str] = ("prepared", "mapping")

    def __init__(self, *, target: str, prepared: Any, mapping: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.prepared, self.mapping = target, prepared, mapping

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Fails, and with it the run, when the settings are not back."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            put_settings_back(
                PreparedIndex.from_json(self.prepared), connections.mapping(self.mapping), connections.patient
            )


class CheckRejectsOperator(BaseOperator):
    """Add up all reports of the copy, and fail where more documents were refused than the target allows.

    Before the comparison: of a run that fails for this anyway the table is not read once more, and its reasons are
    the first thing that is red. Safe to run again.

    :param target: name of the target.
    :param reports: what the copying tasks returned.
    """

    template_fields: Sequence[str] = ("reports",)

    def __init__(self, *, target: str, reports: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.reports = target, reports

    def execute(self, context: Context) -> int:  # noqa: ARG002 - Airflow's signature
        """Return how many documents were refused."""
        with failures_for_airflow():
            copied = add_up(list(_plain(self.reports)))
            self.log.info("%s", copied.report)
            copied.check_rejects(TargetConnections.of(self.target).target.budgets.max_rejects)
        return copied.report.offer.rejected


class VerifyBackfillOperator(BaseOperator):
    """Add up all reports, and hold them together with the comparison: what became of every item. Safe to run again.

    :param target: name of the target.
    :param plan: the plan.
    :param reports: what the copying tasks returned.
    :param comparison: what the comparison afterwards returned.
    """

    template_fields: Sequence[str] = ("plan", "reports", "comparison")

    def __init__(self, *, target: str, plan: Any, reports: Any, comparison: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.reports, self.comparison = target, plan, reports, comparison

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the outcome, also as the asset event's extra."""
        with failures_for_airflow():
            outcome = finish_backfill(
                BackfillPlan.from_json(self.plan),
                add_up(list(_plain(self.reports))),
                ComparisonReport.from_json(self.comparison),
                TargetConnections.of(self.target).clock,
            )
        self.log.info("%s", outcome)
        for asset in self.outlets:
            context["outlet_events"][asset].extra = outcome.to_json()
        return outcome.to_json()


def _plain(reports: Iterable[Any]) -> Iterable[dict[str, Any]]:
    """A lazy XCom sequence as dicts."""
    return (dict(report) for report in reports)
