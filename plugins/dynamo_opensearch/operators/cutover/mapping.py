"""The tasks of a cutover that let the table's changes reach the indexer."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.cutover.mapping.enabling import enable_mapping
from dynamo_opensearch.core.cutover.mapping.wait import wait_for_mapping
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.wiring.preflight import side_of


class EnableMappingOperator(BaseOperator):
    """Make the indexer's event source mapping where there is none, enable it where it is disabled.

    Settings by which changes are lost are told and not changed. Skipped without ``indexer`` in the target file. Safe to
    run again, also after a kill.

    :param target: name of the target.
    """

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    def execute(self, context: Context) -> str:  # noqa: ARG002 - Airflow's signature
        """Return its UUID."""
        with failures_for_airflow():
            side = side_of(self.target)
            if side.environment.indexer is None:
                raise AirflowSkipException(f"environments.{side.name}.indexer is not in the target file")
            mapping = enable_mapping(side)
        self.log.info("%s", mapping)
        return mapping.uuid


class WaitForMappingOperator(BaseOperator):
    """Wait until the event source mapping is Enabled, in this task: it takes seconds, rarely minutes.

    :param target: name of the target.
    :param mapping: the UUID that ``EnableMappingOperator`` returned.
    :param wait_min: minutes after which the task fails, and Airflow tries again.
    """

    template_fields: Sequence[str] = ("mapping",)

    def __init__(self, *, target: str, mapping: Any, wait_min: float = 10.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.mapping, self.wait_min = target, mapping, wait_min

    def execute(self, context: Context) -> str:  # noqa: ARG002 - Airflow's signature
        """Return what was seen."""
        with failures_for_airflow():
            side = side_of(self.target)
            seen = wait_for_mapping(side.aws, side.clock, str(self.mapping), self.wait_min * 60)
        self.log.info("%s", seen)
        return seen
