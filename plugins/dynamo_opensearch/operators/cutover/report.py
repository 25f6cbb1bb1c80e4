"""What a cutover did, in one table."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.preflight.lines import compact


class ReportCutoverOperator(BaseOperator):
    """Say of each step whether it was done or left out, and what came of it. Reads only.

    It is the task that a run needs: unlike the last steps, it never skips itself.

    :param steps: task ids, in their order.
    """

    def __init__(self, *, steps: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = tuple(steps)

    def execute(self, context: Context) -> dict[str, str]:
        """Return the state of each step."""
        instance = context["ti"]
        states = instance.get_task_states(
            dag_id=instance.dag_id, task_ids=list(self.steps), run_ids=[instance.run_id]
        ).get(instance.run_id, {})
        found = {step: str(states.get(step) or "has not run") for step in self.steps}
        values = {step: instance.xcom_pull(task_ids=step) for step in self.steps}
        self.log.info("what was done:\n%s", table_of(found, values))
        return found


def table_of(states: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """A line for each step: its state, in words, and what it returned."""
    width = max(map(len, states))
    return "\n".join(f"{step.ljust(width)}  {_told(state, values.get(step))}" for step, state in states.items())


def _told(state: str, value: Any) -> str:
    if state == "skipped":
        return "left out: see its log"
    if state != "success":
        return state
    return "done" if value is None else f"done: {value if isinstance(value, str) else compact(value)}"
