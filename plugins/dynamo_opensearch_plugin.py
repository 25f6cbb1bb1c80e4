"""What Airflow's plugin system loads of this package: the pages of reconciliations, in the API server."""

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class DynamoOpenSearchPlugin(AirflowPlugin):
    """Every component loads it, each task as well; only the API server asks for the app, and pays for its imports."""

    name = "dynamo_opensearch"

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """One app, whose route asks for the rights of the reader."""
        from dynamo_opensearch.operators.reconcile.page_link import URL_PREFIX
        from dynamo_opensearch.web.reconciliation_pages import make_app

        return [{"app": make_app(), "url_prefix": URL_PREFIX, "name": "DynamoDB to OpenSearch: reconciliation pages"}]
