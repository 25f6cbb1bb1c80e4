"""A person is asked before readers get another index, and before a part of the live system is changed."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context

from dynamo_opensearch.core.rebuild.next_index import remove_next_index
from dynamo_opensearch.core.rebuild.plan import RebuildPlan
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.wiring.target_connections import TargetConnections


class ApproveSwapOperator(ApprovalOperator):
    """Ask the target's approvers before the swap. Rejected or unanswered: the new index is removed, the run fails.

    :param target: name of the target.
    :param plan: the rebuild's plan.
    :param prepared: the new index.
    :param is_wanted: without it, nobody is asked.
    """

    template_fields: Sequence[str] = (*ApprovalOperator.template_fields, "plan", "prepared", "is_wanted")

    def __init__(self, *, target: str, plan: Any, prepared: Any, is_wanted: bool | str, **kwargs: Any) -> None:
        super().__init__(fail_on_reject=True, **kwargs)
        self.target, self.plan, self.prepared, self.is_wanted = target, plan, prepared, is_wanted

    def execute(self, context: Context) -> Any:
        """Ask, and wait without a worker slot."""
        if not self.is_wanted:
            self.log.info("no approval was asked for: the swap follows")
            return None
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on, or remove the new index and fail.

        Raises:
            AirflowFailException: rejected, or no answer in time.
        """
        try:
            return super().execute_complete(context, event)
        except HITLRejectException as error:
            raise self._given_up("rejected") from error
        except HITLTimeoutError as error:
            raise self._given_up("not answered in time") from error

    def _given_up(self, how: str) -> AirflowFailException:
        with failures_for_airflow():
            plan = RebuildPlan.from_json(self.plan)
            connections = TargetConnections.of(self.target)
            remove_next_index(connections.patient, plan.marker, plan.to_index, self.prepared["uuid"])
        return AirflowFailException(
            f"the swap was {how}: alias {plan.alias!r} still leads to {plan.from_index!r}, and the new index "
            f"{plan.to_index!r} was removed. Start this DAG again when the new index is wanted."
        )


class ApproveStepOperator(ApprovalOperator):
    """Ask the target's approvers before a part of the live system is changed. Rejected or unanswered: the run fails.

    :param target: name of the target.
    :param part: what is to be changed: ``indexer`` or ``api``; skipped where the target file does not name it.
    :param is_wanted: skipped without it.
    """

    template_fields: Sequence[str] = (*ApprovalOperator.template_fields, "is_wanted")

    def __init__(self, *, target: str, part: str, is_wanted: bool | str, **kwargs: Any) -> None:
        super().__init__(fail_on_reject=True, **kwargs)
        self.target, self.part, self.is_wanted = target, part, is_wanted

    def execute(self, context: Context) -> Any:
        """Ask, and wait without a worker slot."""
        with failures_for_airflow():
            environment = TargetConnections.of(self.target).environment
        if getattr(environment, self.part) is None:
            raise AirflowSkipException(
                f"the target file has no {self.part} in this environment: there is nothing to approve"
            )
        if not self.is_wanted:
            raise AirflowSkipException(f"no approval was asked for: the {self.part} follows")
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on, or fail.

        Raises:
            AirflowFailException: rejected, or no answer in time.
        """
        try:
            return super().execute_complete(context, event)
        except HITLRejectException as error:
            raise self._given_up("rejected") from error
        except HITLTimeoutError as error:
            raise self._given_up("not answered in time") from error

    def _given_up(self, how: str) -> AirflowFailException:
        return AirflowFailException(
            f"the change of the {self.part} was {how}: it is as it was, and so is all that follows. What was made "
            "before stays. Clear this task to ask once more, or start this DAG again later: it finds what is there."
        )
