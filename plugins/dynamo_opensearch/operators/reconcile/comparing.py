"""The tasks of a reconciliation that read: plan, count, read both sides in parts, join, look again."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.compare.join import Found
from dynamo_opensearch.core.compare.rows import SideRead
from dynamo_opensearch.core.reconcile.causes import find_causes
from dynamo_opensearch.core.reconcile.counting import approximate_counts, count_sides
from dynamo_opensearch.core.reconcile.depths import ReconcileDepth, Repair, scheduled
from dynamo_opensearch.core.reconcile.history import last_of, load_nights, runs_to_keep
from dynamo_opensearch.core.reconcile.joining import join_partitions
from dynamo_opensearch.core.reconcile.plan import Part, ReconcilePlan
from dynamo_opensearch.core.reconcile.planning import ReconcileWishes, plan_reconciliation
from dynamo_opensearch.core.reconcile.reading import read_part
from dynamo_opensearch.core.reconcile.repairing import repairable
from dynamo_opensearch.core.reconcile.settling import settle
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.reconcile.files import forget_old_runs, forget_work_files, work_files
from dynamo_opensearch.operators.reconcile.lists import known_since_us, list_keeper
from dynamo_opensearch.operators.reconcile.results import SettledResult
from dynamo_opensearch.wiring.acting_as import tell_acting_as
from dynamo_opensearch.wiring.reconciling import (
    allowed_repairs,
    count_ports,
    look_around,
    plan_ports,
    read_ports,
    scratch_folder,
    settle_ports,
)
from dynamo_opensearch.wiring.target_connections import TargetConnections


class PlanReconciliationOperator(BaseOperator):
    """Look at both sides, refuse what does not fit, divide the reading. Removes what earlier runs have left.

    Returns the parts that ``read`` is mapped over, none at the depths that compare no keys; the whole plan is under
    the XCom key ``plan``.

    :param target: name of the target.
    :param depth: ``approximate``, ``count``, ``keys`` or ``content``; None: as the target's schedule says.
    :param repair: ``none``, ``plan`` or ``apply``; None: as the target's schedule says.
    """

    template_fields: Sequence[str] = ("depth", "repair")

    def __init__(self, *, target: str, depth: str | None = None, repair: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.depth, self.repair = target, depth, repair

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return what ``read`` is mapped over; push ``plan``."""
        tell_acting_as(self.target, self.log)
        run_id = str(context["run_id"])
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            self._tidy_up(connections, run_id)
            plan = plan_reconciliation(
                connections.target, connections.stamps, self._wishes(connections, context), plan_ports(connections)
            )
        self.log.info("%s", plan)
        value = plan.to_json()
        context["ti"].xcom_push(key="plan", value=value)
        return list(value["parts"])

    def _tidy_up(self, connections: TargetConnections, run_id: str) -> None:
        """What earlier runs have left for each other, and what is too old for the history."""
        forget_work_files(connections.target, but=run_id)
        kept = runs_to_keep(load_nights(connections.state("reconciliations")))
        if kept is not None:
            forget_old_runs(connections.target, {*kept, run_id})

    def _wishes(self, connections: TargetConnections, context: Context) -> ReconcileWishes:
        """What the run was started with, and for the rest what the schedule says."""
        run = cast("Any", context["dag_run"])
        is_scheduled = getattr(run.run_type, "value", run.run_type) == "scheduled"
        settings = scheduled(connections.target.airflow, run.logical_date if is_scheduled else None)
        depth = cast("ReconcileDepth", self.depth or settings.depth)
        default = settings.repair if self.depth is None else "none"
        return ReconcileWishes(
            run_id=str(context["run_id"]), depth=depth, repair=cast("Repair", self.repair or default)
        )


class CountSidesOperator(BaseOperator):
    """Count both sides: as DynamoDB says, or page by page. Skipped where keys are compared. Reads only.

    :param target: name of the target.
    :param plan: the plan.
    """

    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, target: str, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan = target, plan

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Return the counts, and the causes of a difference."""
        plan = ReconcilePlan.from_json(self.plan)
        if plan.compares_keys:
            raise AirflowSkipException("both sides are compared key by key, which counts them as well")
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            if plan.depth == "approximate":
                is_filtered = connections.target.documents.filter is not None
                counts = approximate_counts(plan.items_estimated, plan.documents, is_filtered=is_filtered)
            else:
                counts = count_sides(count_ports(connections, plan))
            causes = () if counts.unexplained <= plan.tolerance else causes_of(connections, plan)
        self.log.info("%d items, %d documents, %d written", counts.table_count, counts.index_count, counts.written)
        return {"counts": counts.to_json(), "causes": list(causes)}


class ReadPartOperator(BaseOperator):
    """Read a part of one side into files. A second run replaces them.

    :param target: name of the target.
    :param plan: the plan.
    :param part: which part.
    """

    template_fields: Sequence[str] = ("plan", "part")

    def __init__(self, *, target: str, plan: Any, part: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.part = target, plan, part

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the side, and the counts of what was read."""
        plan, part = ReconcilePlan.from_json(self.plan), Part(**self.part)
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            files = work_files(connections.target, str(context["run_id"]))
            read = read_part(plan, part, read_ports(connections, plan, files))
        return {"side": part.side, "read": asdict(read)}


class AddUpReadsOperator(BaseOperator):
    """Add up what was read of each side. Returns the partitions that ``join`` is mapped over.

    The sums are under the XCom keys ``table`` and ``index``.

    :param plan: the plan.
    :param reads: what the reading tasks returned.
    """

    template_fields: Sequence[str] = ("plan", "reads")

    def __init__(self, *, plan: Any, reads: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan, self.reads = plan, reads

    def execute(self, context: Context) -> list[list[int]]:
        """Return first and last partition of each joining task."""
        plan = ReconcilePlan.from_json(self.plan)
        sums = {"table": SideRead(), "index": SideRead()}
        for one in self.reads:
            sums[one["side"]] += SideRead(**one["read"])
        for side, read in sums.items():
            context["ti"].xcom_push(key=side, value=asdict(read))
        table, index = sums["table"], sums["index"]
        self.log.info(
            "%d items that belong (%d do not), %d documents, %.1f read units",
            table.rows,
            table.skipped,
            index.rows,
            table.read_units,
        )
        return [list(one) for one in plan.joins]


class JoinPartitionsOperator(BaseOperator):
    """Join some partitions of both sides. A second run replaces what it stored.

    :param target: name of the target.
    :param plan: the plan.
    :param partitions: the first and the last of them.
    """

    template_fields: Sequence[str] = ("plan", "partitions")

    def __init__(self, *, target: str, plan: Any, partitions: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.partitions = target, plan, partitions

    def execute(self, context: Context) -> dict[str, int]:
        """Return counts by kind."""
        first, last = self.partitions
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            files = work_files(connections.target, str(context["run_id"]))
            plan = ReconcilePlan.from_json(self.plan)
            return asdict(join_partitions(plan, range(first, last + 1), files, scratch_folder()))


class SettleDifferencesOperator(BaseOperator):
    """Look again at what differed, by consistent reads and in real time, and list what stands still.

    A second run is safe, and replaces the list.

    :param target: name of the target.
    :param plan: the plan.
    :param table: what was read of the table.
    :param index: what was read of the index.
    :param found: what the joining tasks returned.
    """

    template_fields: Sequence[str] = ("plan", "table", "index", "found")

    def __init__(self, *, target: str, plan: Any, table: Any, index: Any, found: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.plan, self.table, self.index, self.found = target, plan, table, index, found

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the comparison, what may be repaired, and what else is wrong; its text under the key ``text``."""
        plan = ReconcilePlan.from_json(self.plan)
        found = sum((Found(**one) for one in self.found), start=Found())
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            target, run_id = connections.target, str(context["run_id"])
            table, index = SideRead(**self.table), SideRead(**self.index)
            allowed = allowed_repairs(connections, table.rows)
            nights = load_nights(connections.state("reconciliations"))
            ports = settle_ports(
                connections,
                plan,
                work_files(target, run_id),
                list_keeper(target, run_id),
                known_since_us(last_of(nights, "keys", "content")),
            )
            settled = settle(plan, table, index, found, allowed, ports)
            comparison = settled.comparison
            causes = () if comparison.differences <= plan.tolerance else causes_of(connections, plan)
        self.log.info("%s", comparison)
        result = SettledResult(
            comparison=comparison,
            known=settled.known,
            oldest_us=settled.oldest_us,
            to_repair=repairable(comparison),
            allowed=allowed,
            causes=causes,
        )
        context["ti"].xcom_push(key="text", value="\n".join([str(comparison), *causes]))
        return result.to_json(show_keys=target.show_keys)


def causes_of(connections: TargetConnections, plan: ReconcilePlan) -> tuple[str, ...]:
    """What else is wrong around both sides."""
    nights = load_nights(connections.state("reconciliations"))
    earlier = next((night for night in reversed(nights) if night.run_id != plan.run_id), None)
    return find_causes(plan, earlier, look_around(connections, plan))
