"""The moment in which the alias comes to lead to another index."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.follow.caught_up import check_no_gap
from dynamo_opensearch.core.rebuild.swap import swap
from dynamo_opensearch.core.rebuild.swap_plan import SwapPlan
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.hold import keep_hold
from dynamo_opensearch.wiring.following import follow_state
from dynamo_opensearch.wiring.rebuilding import note_previous_start, swap_ports
from dynamo_opensearch.wiring.target_connections import TargetConnections


class SwapAliasOperator(BaseOperator):
    """Let the alias lead to another index, in one step, with no moment in which readers miss anything.

    Safe to run again: it finds out whether the alias was moved.

    :param target: name of the target.
    :param purpose: of the hold, ``rebuild`` or ``rollback``.
    :param swap_plan: from which index to which.
    :param compared_us: when the comparison of the new index began (microseconds since 1970): refuse if the stream lost
        records since. None: it was not compared.
    """

    template_fields: Sequence[str] = ("swap_plan", "compared_us")

    def __init__(self, *, target: str, purpose: str, swap_plan: Any, compared_us: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.purpose, self.swap_plan = target, purpose, swap_plan
        self.compared_us = compared_us

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the report, also as the asset event's extra."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            keep_hold(connections, context, self.purpose)
            plan = SwapPlan.from_json(self.swap_plan)
            if self.compared_us is not None:
                check_no_gap(follow_state(connections), plan.to_index, int(self.compared_us))
            note_previous_start(connections, plan)
            report = swap(plan, swap_ports(connections, plan))
        self.log.info("%s", report)
        for asset in self.outlets:
            context["outlet_events"][asset].extra = report.to_json()
        return report.to_json()
