"""The route of Airflow's API server that shows the page of a reconciliation to whoever may see the DAG's runs."""

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from dynamo_opensearch.core.errors import SyncError
from dynamo_opensearch.core.reconcile.dag_ids import reconciled_target
from dynamo_opensearch.operators.reconcile.page_link import ROUTE

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; "
        "form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_LONGEST_RUN_ID = 250
"""Airflow's own limit; a longer name is none of a file either."""


def make_app() -> FastAPI:
    """An app with this one route. No documentation and no schema, which Airflow would show to anybody."""
    app = FastAPI(title="Reconciliation pages", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(StarletteHTTPException, _refusal)
    may_see_runs = Depends(requires_access_dag("GET", DagAccessEntity.RUN))
    app.add_api_route(ROUTE, _show_page, methods=["GET"], dependencies=[may_see_runs], response_class=HTMLResponse)
    return app


def stored_page(dag_id: str, run_id: str) -> bytes:
    """The page as the run's report task has stored it.

    Raises:
        HTTPException: 404, there is no such target, or no page of such a run; 503, it may not be read.
    """
    name = reconciled_target(dag_id)
    if name is None or len(run_id) > _LONGEST_RUN_ID:
        raise HTTPException(404, "There is no such reconciliation.")
    # These bring in the servers' clients and the join, which an API server without a reader of pages does not need.
    from dynamo_opensearch.operators.reconcile.files import PAGE, run_folder
    from dynamo_opensearch.wiring.target_connections import load_target

    try:
        target = load_target(name)
    except SyncError as error:
        missing = "No target file belongs to this DAG, or it has mistakes; Airflow's import errors would list them."
        raise HTTPException(404, missing) from error
    try:
        content: bytes = (run_folder(target, run_id) / PAGE).read_bytes()
    except FileNotFoundError as error:
        missing = "This run has no page: its report has not been written yet, or it was removed."
        raise HTTPException(404, missing) from error
    except (PermissionError, SyncError) as error:
        forbidden = (
            "The API server may not read the place of the reports; docs/reconciliation-page.md says what it needs."
        )
        raise HTTPException(503, forbidden) from error
    return content


def _show_page(dag_id: str, run_id: str) -> HTMLResponse:
    return HTMLResponse(stored_page(dag_id, run_id), headers=HEADERS)


def _refusal(_request: Request, error: Exception) -> Response:
    """One plain sentence, for a person at a browser."""
    if not isinstance(error, StarletteHTTPException):
        raise error
    headers = {**HEADERS, **(error.headers or {})}
    return PlainTextResponse(f"{error.detail}\n", status_code=error.status_code, headers=headers)
