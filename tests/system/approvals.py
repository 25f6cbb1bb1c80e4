"""Answering for a person whom a run asks."""

import time

from tests.system.airflow_deployment import Deployment, wait_for


def answer_approval(deployment: Deployment, dag_id: str, run_id: str, task_id: str, option: str) -> str:
    """Answer whenever somebody is asked, until the task has ended; the text of the question.

    Airflow 3.3.2 takes a task for failed whose answer comes before its scheduler knows that it waits (seen with an
    answer within four seconds on a busy machine), and asks again.
    """
    path = f"/dags/{dag_id}/dagRuns/{run_id.replace('+', '%2B')}/taskInstances/{task_id}/-1/hitlDetails"
    text = ""

    def has_ended() -> bool | None:
        nonlocal text
        state = deployment.states(run_id, dag_id).get(task_id)
        if state == {"awaiting_input"}:
            time.sleep(4)
            text = deployment.airflow.call(path)["body"]
            deployment.airflow.call(path, method="PATCH", body={"chosen_options": [option], "params_input": {}})
            time.sleep(4)
        return state in ({"success"}, {"failed"}) or None

    wait_for(has_ended, 300, "the approval")
    return text
