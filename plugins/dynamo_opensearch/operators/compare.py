"""The comparison of an index with its table, before it gets readers and after."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.compare.comparison import compare
from dynamo_opensearch.core.compare.table_side import Depth
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.rebuild.counts import count_for_rollback, refused_documents
from dynamo_opensearch.core.rebuild.rollback import RollbackPlan
from dynamo_opensearch.core.rebuild.verdict import check_equal, shareable
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.object_storage import ObjectStorageRejectSink, path_part, reports_path
from dynamo_opensearch.wiring.comparing import comparison_ports, comparison_settings
from dynamo_opensearch.wiring.following import follow_state
from dynamo_opensearch.wiring.target_connections import TargetConnections


class CompareIndexOperator(BaseOperator):
    """Compare an index with the table, mend what differs, and fail where it goes on differing.

    A second run is safe. The comparison as text is under the XCom key ``text``, and when it began under ``began_us``
    (microseconds since 1970).

    :param target: name of the target.
    :param index: the index.
    :param depth: ``content`` compares every document, ``keys`` only whether each key is on both sides.
    :param read_units_per_s: of the table's scan; None: the target's budget.
    :param is_wanted: without it, nothing is compared.
    """

    template_fields: Sequence[str] = ("index", "read_units_per_s", "is_wanted")

    def __init__(
        self,
        *,
        target: str,
        index: Any,
        depth: Depth = "content",
        read_units_per_s: float | str | None = None,
        is_wanted: bool | str = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target, self.index, self.depth = target, index, depth
        self.read_units_per_s, self.is_wanted = read_units_per_s, is_wanted

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Return the report."""
        if not self.is_wanted:
            self.log.info("no comparison was asked for here")
            return None
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            target = connections.target
            context["ti"].xcom_push(key="began_us", value=connections.clock.time_us())
            folder = reports_path(connections.environment.reports) / "rejects" / self.target
            rejects = _StoredRejects(
                ObjectStorageRejectSink(folder / path_part(str(context["run_id"])) / self.task_id), target.key
            )
            pace = None if self.read_units_per_s is None else float(self.read_units_per_s)
            settings = comparison_settings(connections, self.index, self.depth, pace)
            report = compare(settings, comparison_ports(connections, self.index, rejects.add))
            value = shareable(report, show_keys=target.show_keys)
            context["ti"].xcom_push(key="text", value=str(report))
            for kind, ids in value["samples"].items():
                self.log.info("%s, for example: %s", kind, ", ".join(ids))
            check_equal(report, target.budgets.max_rejects, settings.max_mends or 0, str(rejects.sink.folder))
        return value


class _StoredRejects:
    """Rejects as one part after the other; those of an earlier try go."""

    def __init__(self, sink: ObjectStorageRejectSink, key_attributes: Sequence[str]) -> None:
        self.sink, self._key_attributes, self._parts = sink, key_attributes, 0
        sink.forget_from(0)

    def add(self, rejects: Sequence[Reject]) -> None:
        """Store some more, durably."""
        self.sink.write(self._parts, b"".join(reject.line(self._key_attributes) for reject in rejects))
        self._parts += 1


class CountIndicesOperator(BaseOperator):
    """Count both indices of a rollback, and refuse where their numbers are too far apart to be of one table.

    More than the previous index's refused documents, ``budgets.max_repairs`` of the other and a hundred that may be
    on their way is too far. Reads only.

    :param target: name of the target.
    :param plan: the rollback's plan.
    :param is_wanted: without it, nothing is counted.
    """

    template_fields: Sequence[str] = ("plan", "is_wanted")

    def __init__(self, *, target: str, plan: Any, is_wanted: bool | str = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.is_wanted = target, plan, is_wanted

    def execute(self, context: Context) -> dict[str, int] | None:  # noqa: ARG002 - Airflow's signature
        """Return the counts."""
        if not self.is_wanted:
            self.log.info("the indices are not counted: the previous one was compared with the table")
            return None
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            plan = RollbackPlan.from_json(self.plan)
            counts = count_for_rollback(
                connections.patient,
                plan,
                refused=refused_documents(follow_state(connections), plan.to_index),
                max_repairs=connections.target.budgets.max_repairs,
            )
        self.log.info("%s", counts)
        return counts.to_json()
