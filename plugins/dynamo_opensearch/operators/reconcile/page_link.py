"""The link from a task in Airflow's UI to the page of its run's reconciliation."""

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperator, BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

URL_PREFIX = "/dynamo-opensearch"
"""Below which the plugin's routes are, in Airflow's API server."""
ROUTE = "/reconciliations/{dag_id}/{run_id}"


def page_path(dag_id: str, run_id: str) -> str:
    """The path of a run's page on the API server, below the path of ``[api] base_url`` if that has one."""
    below = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return below + URL_PREFIX + ROUTE.format(dag_id=quote(dag_id, safe=""), run_id=quote(run_id, safe=""))


class ReconciliationPageLink(BaseOperatorLink):
    """``operator_extra_links = (ReconciliationPageLink(),)`` of the operator that writes the page.

    Airflow asks for it when the task has ended, well or not, and keeps the path as an XCom; what a killed task
    leaves has no link. Nothing has to be registered for it.
    """

    name = "Reconciliation page"

    def get_link(self, operator: BaseOperator, *, ti_key: "TaskInstanceKey") -> str:  # noqa: ARG002 - Airflow's signature
        """The path of the page of the task's run."""
        return page_path(ti_key.dag_id, ti_key.run_id)
