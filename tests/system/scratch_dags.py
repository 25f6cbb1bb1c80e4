"""A DAG with the name and the link of a target's reconciliation; its task writes a page, then ends as it is told."""

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import DAG, BaseOperator, Context, Param

from dynamo_opensearch.core.reconcile.dag_ids import reconcile_dag_id
from dynamo_opensearch.operators.reconcile.files import PAGE, run_folder, write_private
from dynamo_opensearch.operators.reconcile.page_link import ReconciliationPageLink


class WritePageOperator(BaseOperator):
    """Writes the run's id as its page."""

    template_fields = ("ends",)
    operator_extra_links = (ReconciliationPageLink(),)

    def __init__(self, *, target: str, ends: str, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.target, self.ends = target, ends

    def execute(self, context: Context) -> None:
        """Write the page; then succeed, or fail or be skipped as a gate is."""
        from dynamo_opensearch.wiring.target_connections import load_target

        run_id = str(context["run_id"])
        page = f"<!doctype html><p>{run_id}"
        write_private(run_folder(load_target(self.target), run_id) / PAGE, page.encode())
        if self.ends == "failed":
            raise AirflowFailException("as it was told")
        if self.ends == "skipped":
            raise AirflowSkipException("as it was told")


with DAG(
    reconcile_dag_id("members"),
    schedule=None,
    params={"ends": Param("success", type="string")},
    render_template_as_native_obj=True,
):
    WritePageOperator(task_id="report", target="members", ends="{{ params.ends }}")
